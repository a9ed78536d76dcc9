"""Numbers as people write them: values, estimates, regions, times; infinite and missing ones too."""

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any


def value_text(value: Any, digits: int = 4) -> str:
    """Return a value as short text, a fraction with so many significant digits.

    >>> [value_text(value) for value in (None, 200, 1e-05, 0.123456, float("inf"), "full")]
    ['-', '200', '1e-5', '0.1235', '∞', 'full']
    """
    if value is None or value != value:  # NaN
        return "-"
    if isinstance(value, float):
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        return f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e+")
    return str(value)


def value_texts(values: Sequence[Any], most: int = 17) -> list[str]:
    """Return `value_text` of each value, with as many digits, up to `most`, as tell different ones apart.

    >>> value_texts([0.123456, 0.123457]), value_texts([0.123456, 0.5])
    (['0.123456', '0.123457'], ['0.1235', '0.5'])
    """
    count = len({value for value in values if value == value})  # NaN, equal to nothing, needs no digits
    texts: list[str] = []
    for digits in range(4, most + 1):
        texts = [value_text(value, digits) for value in values]
        if len(set(texts)) >= count:
            break
    return texts


def number_texts(values: Sequence[float]) -> list[str]:
    """Return short texts of numbers: four digits, up to six where different ones would look equal."""
    return value_texts([float(value) for value in values], most=6)


def estimate_text(mean: float, half_width: float, sign: str = "±") -> str:
    """Return ``mean ± half_width``: two digits of the half-width, or three of a mean that has none.

    >>> estimate_text(1.5402, 0.4531), estimate_text(2.04e-14, 1.12e-14)
    ('1.54 ± 0.45', '(2.0 ± 1.1)e-14')
    """
    if not math.isfinite(mean):
        return "-"
    has_width = math.isfinite(half_width)
    size = max(abs(mean), half_width) if has_width else abs(mean)
    exponent = math.floor(math.log10(size)) if size else 0
    # Beyond these the zeros would have to be counted.
    scaled = not -3 <= exponent < 5
    if scaled:  # as decimals, which hold the smallest numbers' powers of ten too
        mean, half_width, size = (float(Decimal(n).scaleb(-exponent)) for n in (mean, half_width, size))
    power = f"e{exponent}" if scaled else ""
    if not has_width:
        return f"{mean:.{_decimals(size, 3)}f}{power}"
    # Four digits say enough of a mean whose interval is narrower still.
    places = min(_decimals(half_width, 2), _decimals(size, 4)) if half_width else _decimals(size, 3)
    text = f"{mean:.{places}f} {sign} {half_width:.{places}f}"
    return f"({text}){power}" if scaled else text


def _decimals(value: float, digits: int) -> int:
    """Return how many decimals show `digits` significant digits of a value."""
    return max(0, digits - 1 - math.floor(math.log10(value))) if value else digits - 1


def region_text(region: tuple[float, float], texts: Sequence[str] = ()) -> str:
    """Return a closed region in words, its ends written as `texts`.

    >>> region_text((1.0, float("inf"))), region_text((1.0, 2.0)), region_text((256.0, 256.0))
    ('at least 1', '1 to 2', 'exactly 256')
    """
    low, high = texts or number_texts(region)
    match math.isfinite(region[0]), math.isfinite(region[1]):
        case True, True:
            return f"exactly {low}" if region[0] == region[1] else f"{low} to {high}"
        case True, False:
            return f"at least {low}"
        case False, True:
            return f"at most {high}"
    return "any number"


def duration_text(seconds: float) -> str:
    """Return a time as a person would say it: ``0.37 s``, ``42 s``, ``3 min 20 s``, ``1 h 05 min``."""
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    minutes, whole = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {whole} s" if minutes else f"{whole} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def ranges_text(numbers: Iterable[int]) -> str:
    """Return whole numbers with neighbours drawn together: ``0 to 4, 7``."""
    ordered = sorted(set(numbers))
    breaks = [0, *(i for i, (a, b) in enumerate(pairwise(ordered), 1) if b != a + 1), len(ordered)]
    groups = [ordered[start:stop] for start, stop in pairwise(breaks) if start < stop]
    return ", ".join(
        f"{group[0]} to {group[-1]}" if len(group) > 2 else ", ".join(map(str, group)) for group in groups
    )
