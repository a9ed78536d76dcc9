"""Checks of what a callback is configured with: each refusal names the key, the value and what is allowed."""

import math
from collections.abc import Collection
from typing import Any


def require_count(key: str, value: Any, *, minimum: int = 1, null: str | None = None) -> None:
    """Refuse what is no whole number from ``minimum`` up; ``null`` says what None stands for, if allowed.

    Raises ``ValueError``.
    """
    if value is None and null is not None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        or_null = f", or null for {null}" if null else ""
        raise ValueError(
            f"{key}={value} is not allowed: it must be a whole number, at least {minimum}{or_null}"
        )


def require_positive(key: str, value: Any, *, null: str | None = None) -> None:
    """Refuse what is no finite number above 0; ``null`` says what None stands for, if allowed.

    Raises ``ValueError``.
    """
    if value is None and null is not None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 < value < math.inf):
        or_null = f", or null for {null}" if null else ""
        raise ValueError(f"{key}={value} is not allowed: it must be a finite number above 0{or_null}")


def require_names(key: str, value: Any, allowed: Collection[str]) -> None:
    """Refuse what is no list of at least one of the ``allowed`` names.

    Raises ``ValueError``.
    """
    is_list = isinstance(value, Collection) and not isinstance(value, str)
    if not (is_list and value and set(value) <= set(allowed)):
        raise ValueError(f"{key}={value} is not allowed: it must be a list of {', '.join(allowed)}")
