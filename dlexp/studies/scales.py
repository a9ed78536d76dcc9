"""Axes that fit their values: logarithmic where they span decades, with a floor above round-off."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from dlexp.report.names import value_text, value_texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

LOG_FROM_DECADES = 1.5
# A loss at the level of round-off says 'fitted exactly'; drawn in full it would take the axis from all else.
DECADES_SHOWN = 8
_MOST_TICKS = 20


@dataclass(frozen=True)
class Scale:
    """`kind` is log, symlog (from 0 over decades) or linear; values below `floor` are drawn at it."""

    kind: str
    floor: float = -math.inf

    def clip(self, value: float) -> float:
        """Return where a value is drawn."""
        return max(value, self.floor)


def decades(values: Iterable[float]) -> float:
    """Return over how many powers of ten the positive values spread."""
    positive = [value for value in values if value > 0]
    return math.log10(max(positive)) - math.log10(min(positive)) if positive else 0.0


def horizontal_scale(values: Sequence[float], wanted: str | None = None) -> Scale:
    """Return the scale for a setting's values, or the one `wanted` (log, linear) as far as they allow it."""
    wanted = wanted or ("log" if decades(values) > LOG_FROM_DECADES else "linear")
    if wanted == "linear" or min(values) < 0 or max(values) == 0:
        return Scale("linear")
    return Scale("log" if min(values) > 0 else "symlog")


def vertical_scale(values: Sequence[float], wanted: str | None = None) -> Scale:
    """Return the scale for a metric's values; a log scale gets a floor for zeros and what is near them.

    One that is `wanted` (log, linear) is taken as far as the values allow it.
    """
    if wanted is None:
        wanted = "log" if min(values) >= 0 and decades(values) > LOG_FROM_DECADES else "linear"
    if wanted == "linear" or max(values) <= 0:
        return Scale("linear", 0.0 if min(values) >= 0 else -math.inf)
    lowest = min(value for value in values if value > 0)
    floor = 10.0 ** (math.ceil(math.log10(max(values))) - DECADES_SHOWN)
    if min(values) > 0 and lowest >= floor:
        return Scale("log")
    return Scale("log", max(floor, 10.0 ** (math.floor(math.log10(lowest)) - 1)))


def crossing(positions: Sequence[float], excess: Sequence[float], *, logarithmic: bool) -> list[float]:
    """Return where a quantity crosses 0, interpolated linearly on the axis' scale between neighbours."""
    points = [(math.log(x) if logarithmic else x, y) for x, y in zip(positions, excess, strict=True)]
    found = [x for x, y in points if y == 0]
    for (x0, y0), (x1, y1) in pairwise(points):
        if y0 * y1 < 0:
            found.append(x0 + (x1 - x0) * y0 / (y0 - y1))
    return sorted(math.exp(x) if logarithmic else x for x in found)


def apply_horizontal(axes: "Axes", scale: Scale, values: Sequence[float], room: float) -> None:
    """Set the x axis' scale, with ticks at the swept values as far as `room` (inches) holds their labels."""
    set_horizontal_limits(axes, scale, values)
    set_value_ticks(axes, values, room)


def set_horizontal_limits(axes: "Axes", scale: Scale, values: Sequence[float]) -> None:
    """Set the x axis' scale and limits, with a margin around the values."""
    values = sorted(set(values))
    if scale.kind == "symlog":
        axes.set_xscale("symlog", linthresh=min(value for value in values if value > 0))
    else:
        axes.set_xscale(scale.kind)
    transform = axes.xaxis.get_transform()
    places = [float(place) for place in transform.transform(values)]
    width = (places[-1] - places[0]) or 1.0
    ends = transform.inverted().transform([places[0] - 0.04 * width, places[-1] + 0.04 * width])
    axes.set_xlim(float(ends[0]), float(ends[1]))


def set_value_ticks(axes: "Axes", values: Sequence[float], room: float) -> None:
    """Put the ticks of the x axis at the values, unless they are many, where `room` (inches) holds them."""
    from matplotlib.ticker import FixedLocator, NullLocator

    values = sorted(set(values))
    if len(values) > _MOST_TICKS and axes.get_xscale() != "symlog":
        return
    transform = axes.xaxis.get_transform()
    places = [float(place) for place in transform.transform(values)]
    width = (places[-1] - places[0]) or 1.0
    labels = value_texts(values)

    def collide(i: int, j: int) -> bool:
        needed = 0.05 + 0.04 * (len(labels[i]) + len(labels[j]))  # inches, at the tick labels' size
        return abs(places[i] - places[j]) / width * room * 0.9 < needed

    kept: list[int] = []
    for i in dict.fromkeys([0, len(values) - 1, *range(len(values))]):
        if not any(collide(i, j) for j in kept):
            kept.append(i)
    kept.sort()
    axes.xaxis.set_major_locator(FixedLocator([values[i] for i in kept]))
    axes.set_xticks([values[i] for i in kept], [labels[i] for i in kept])
    axes.xaxis.set_minor_locator(NullLocator())


def set_log_limits(axes: "Axes", bottom: float, top: float) -> None:
    """Make the y axis logarithmic, with labels between the powers of ten where few of these lie on it."""
    axes.set_yscale("log")
    axes.set_ylim(bottom, top)
    label_log_axis(axes.yaxis, bottom, top)


def label_log_axis(axis: "Axis", low: float, high: float) -> None:
    """Label a logarithmic axis between its powers of ten too, where few of these lie on it."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if decades([low, high]) < 2.5:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: value_text(float(value))))
