"""An interval against the region that a claim predicts, laid out as a small drawing."""

import math
from collections.abc import Callable
from dataclasses import dataclass

WIDTH, HEIGHT = 300, 62
# Finite numbers lie between these, so that a label fits outside of each; infinite ends lie at the edges.
_LEFT, _RIGHT = 66, WIDTH - 66
_EDGE = 3
_LOG_FROM = 30  # the ratio of the largest number to the smallest from which the axis is logarithmic


@dataclass(frozen=True)
class Label:
    """A text at a horizontal position; `anchor` is SVG's text-anchor."""

    x: float
    anchor: str
    text: str


@dataclass(frozen=True)
class Bar:
    """Horizontal positions, in pixels, of an interval (None if there is none), an estimate and a region."""

    interval: tuple[float, float] | None
    estimate: float | None
    region: tuple[float, float]
    interval_labels: tuple[Label, ...]
    region_labels: tuple[Label, ...]
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
    if any(math.isnan(end) for end in interval):
        if not math.isfinite(estimate):
            return None
        interval_texts = ("", "")
    finite = [number for number in (estimate, *interval, *region) if math.isfinite(number)]
    logarithmic = min(finite, default=0) > 0 and max(finite) / min(finite) > _LOG_FROM
    place = _placing(finite, math.log if logarithmic else float)
    has_interval = not any(math.isnan(end) for end in interval)
    ends = (place(interval[0]), place(interval[1])) if has_interval else None
    shaded = (place(region[0]), place(region[1]))
    return Bar(
        interval=ends,
        estimate=None if math.isnan(estimate) else place(estimate),
        region=shaded,
        interval_labels=_labels(interval, ends, interval_texts) if ends else (),
        region_labels=_labels(region, shaded, region_texts),
        logarithmic=logarithmic,
    )


def _placing(finite: list[float], transform: Callable[[float], float]) -> Callable[[float], float]:
    # Halved, so that the difference of two numbers near the largest ones stays finite.
    positions = [transform(number) / 2 for number in finite] or [0.0]
    start, span = min(positions), max(positions) - min(positions)

    def place(number: float) -> float:
        if math.isinf(number):
            return WIDTH - _EDGE if number > 0 else _EDGE
        share = (transform(number) / 2 - start) / span if span else 0.5
        return round(_LEFT + share * (_RIGHT - _LEFT), 1)

    return place


def _labels(
    ends: tuple[float, float], places: tuple[float, float], texts: tuple[str, str]
) -> tuple[Label, ...]:
    if ends[0] == ends[1] or texts[0] == texts[1]:
        return (Label(places[0], "middle", texts[0]),)
    low = Label(*((_EDGE, "start") if math.isinf(ends[0]) else (places[0] - 4, "end")), texts[0])
    high = Label(*((WIDTH - _EDGE, "end") if math.isinf(ends[1]) else (places[1] + 4, "start")), texts[1])
    return low, high
