"""Numbers of the report as people write them, infinite and missing ones too."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from dlexp.report.names import value_text


def number_texts(values: Sequence[float]) -> list[str]:
    """Return short texts of numbers: four digits, up to six where different numbers would look equal."""
    finite = {value for value in values if math.isfinite(value)}
    digits = 4
    while digits < 6 and len({_number_text(value, digits) for value in finite}) < len(finite):
        digits += 1
    return [_number_text(value, digits) for value in values]


def _number_text(value: float, digits: int) -> str:
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return value_text(float(value), digits)


def region_text(region: tuple[float, float], low: str, high: str) -> str:
    """Return a closed region in words, its finite ends written `low` and `high`."""
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
