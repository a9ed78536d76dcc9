"""Refuse arguments out of their range, each in one sentence that names it, its value and what is allowed."""

from collections.abc import Collection


def require_at_least(least: float, **arguments: float | None) -> None:
    """Refuse arguments below ``least`` or not finite; None, for one that was not given, passes.

    Raises ``ValueError``.

    >>> require_at_least(1, steps=0)
    Traceback (most recent call last):
    ValueError: steps=0 is not allowed; allowed: 1 or more
    """
    for name, value in arguments.items():
        if value is not None and not least <= value < float("inf"):
            raise ValueError(f"{name}={value} is not allowed; allowed: {least} or more")


def require_positive(**arguments: float | None) -> None:
    """Refuse arguments that are not positive and finite; None, for one that was not given, passes.

    Raises ``ValueError``.

    >>> require_positive(radius=0.0)
    Traceback (most recent call last):
    ValueError: radius=0.0 is not allowed; allowed: a number above 0
    """
    for name, value in arguments.items():
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"{name}={value} is not allowed; allowed: a number above 0")


def require_one_of(allowed: Collection[str], **arguments: str) -> None:
    """Refuse arguments that are none of the words allowed.

    Raises ``ValueError``.

    >>> require_one_of(("largest", "smallest"), end="top")
    Traceback (most recent call last):
    ValueError: end='top' is not allowed; allowed: largest, smallest
    """
    for name, value in arguments.items():
        if value not in allowed:
            raise ValueError(f"{name}={value!r} is not allowed; allowed: {', '.join(allowed)}")
