"""An interval against the region that a claim predicts, laid out as a small drawing."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH = 300  # pixels
# Finite numbers lie between these, so that a label fits outside of each; infinite ends lie at the edges.
_LEFT, _RIGHT = 66, WIDTH - 66
_EDGE = 3
_LOG_FROM = 30  # the ratio of the largest number to the smallest from which the axis is logarithmic

_Function = Callable[[float], float]


@dataclass(frozen=True)
class Label:
    """A text at a horizontal position; `anchor` is SVG's text-anchor."""

    x: float
    anchor: str
    text: str


@dataclass(frozen=True)
class Span:
    """The horizontal positions of two ends, and their labels: one if the ends are the same."""

    low: float
    high: float
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Bar:
    """An interval (None if there is none), an estimate (likewise) and a region, in pixels."""

    interval: Span | None
    estimate: float | None
    region: Span
    logarithmic: bool


def interval_bar(
    estimate: float,
    interval: tuple[float, float],
    region: tuple[float, float],
    interval_texts: tuple[str, str],
    region_texts: tuple[str, str],
) -> Bar | None:
    """Lay out an interval above a region on one axis; None if there is neither estimate nor interval.

    The axis is logarithmic if all finite numbers are positive and span more than a factor of 30.
    """
    has_interval = not any(map(math.isnan, interval))
    if math.isnan(estimate) and not has_interval:
        return None
    finite = [number for number in (estimate, *interval, *region) if math.isfinite(number)]
    logarithmic = min(finite, default=0) > 0 and max(finite) / min(finite) > _LOG_FROM
    place = _placing(finite, math.log if logarithmic else float)
    return Bar(
        interval=_span(interval, interval_texts, place) if has_interval else None,
        estimate=None if math.isnan(estimate) else place(estimate),
        region=_span(region, region_texts, place),
        logarithmic=logarithmic,
    )


def _placing(finite: Sequence[float], transform: _Function) -> _Function:
    # Halved, so that the difference of two numbers near the largest ones stays finite.
    positions = [transform(number) / 2 for number in finite] or [0.0]
    start, length = min(positions), max(positions) - min(positions)

    def place(number: float) -> float:
        if math.isinf(number):
            return WIDTH - _EDGE if number > 0 else _EDGE
        share = (transform(number) / 2 - start) / length if length else 0.5
        return round(_LEFT + share * (_RIGHT - _LEFT), 1)

    return place


def _span(ends: tuple[float, float], texts: tuple[str, str], place: _Function) -> Span:
    low, high = map(place, ends)
    if low == high:
        return Span(low, high, (Label(low, "middle", texts[0]),))
    # Outside of the span, but for an infinite end, which has no room beyond it.
    first = Label(low, "start", texts[0]) if math.isinf(ends[0]) else Label(low - 4, "end", texts[0])
    last = Label(high, "end", texts[1]) if math.isinf(ends[1]) else Label(high + 4, "start", texts[1])
    return Span(low, high, (first, last))
