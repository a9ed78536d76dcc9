"""What one panel of a figure holds: lines with intervals and single runs, the y axis, thresholds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlexp.report.names import metric_name, value_text
from dlexp.results.summary import Estimate, estimate
from dlexp.studies.charts import DISTINCT_LINES, Line, outputs, thresholds
from dlexp.studies.scales import Scale, set_log_limits
from dlexp.studies.style import THRESHOLD

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CUT = "A band whose interval reaches 0 ends at the lowest run."
_MOST_MARKERS, _FEW_MARKERS = 12, 8  # on a path, whose points are close
_BEYOND = "Where a band leaves its panel the interval reaches farther."


@dataclass(frozen=True)
class Series:
    """What a line shows: at each position, increasing, the replicates of a quantity called `name`.

    Positions without replicates are left out. `runs` are the single runs' positions and values where these
    are lines of their own, not dots at the positions.
    """

    label: str
    name: str
    positions: Sequence[float]
    replicates: Sequence[Sequence[float]]
    runs: Sequence[tuple[Sequence[float], Sequence[float]]] = ()

    @property
    def points(self) -> list[tuple[float, Estimate, Sequence[float]]]:
        """Each position with the mean and its interval, and the replicates."""
        pairs = zip(self.positions, self.replicates, strict=True)
        return [(position, estimate(values), values) for position, values in pairs if values]

    @property
    def values(self) -> list[float]:
        """All replicates, and all values of single runs."""
        return [value for values in (*self.replicates, *(y for _, y in self.runs)) for value in values]


def draw_line(
    axes: "Axes",
    line: Line,
    metric: str,
    scale: Scale,
    style: Mapping[str, Any],
    *,
    joined: bool,
    detailed: bool,
) -> set[str]:
    """Draw one line, `detailed` with intervals and single runs; return what a note has to explain."""
    return draw_series(axes, _series(line, metric), scale, style, joined=joined, detailed=detailed)


def _series(line: Line, metric: str) -> Series:
    replicates = [setting.replicates(metric) for setting in line.settings]
    return Series(line.label, metric_name(metric), line.positions, replicates)


def draw_series(
    axes: "Axes",
    series: Series,
    scale: Scale,
    style: Mapping[str, Any],
    *,
    joined: bool = True,
    detailed: bool = True,
    beside: float = 0.08,
) -> set[str]:
    """Draw a series in a style (keywords of ``plot``); return what a note has to explain.

    Args:
        scale: of the y axis.
        joined: as a line with a band, else as markers with bars.
        detailed: with intervals and single runs.
        beside: how far to the right of bars single runs are.
    """
    points = series.points
    x = [position for position, _, _ in points]
    means = [scale.clip(found.mean) for _, found, _ in points]
    colour = style["color"]
    notes = _draw_intervals(axes, points, scale, colour, joined=joined) if detailed else set()
    if detailed:
        _draw_runs(axes, series, scale, colour, beside=0.0 if joined else beside)
    is_low = [scale.kind == "log" and found.mean < scale.floor for _, found, _ in points]
    shown = [i for i, low in enumerate(is_low) if not low]
    if series.runs and len(shown) > _MOST_MARKERS:
        shown = shown[:: len(shown) // _FEW_MARKERS]
    axes.plot(
        x,
        means,
        label=series.label,
        zorder=3,
        clip_on=False,
        markevery=shown,
        **(style if joined else {**style, "linestyle": "none"}),
    )
    if any(is_low):
        below_floor = [position for position, low in zip(x, is_low, strict=True) if low]
        axes.plot(below_floor, [scale.floor] * len(below_floor), "v", markersize=8, color=colour, zorder=4)
        notes.add(f"▼ {series.name} below {value_text(scale.floor)}.")
    return notes


def _draw_intervals(
    axes: "Axes",
    points: Sequence[tuple[float, Estimate, Sequence[float]]],
    scale: Scale,
    colour: Any,
    *,
    joined: bool,
) -> set[str]:
    x, means, low, high = [], [], [], []
    notes = set()
    for position, found, values in points:
        # A log axis has no place for 0: there the band ends where the runs do.
        is_cut = scale.kind == "log" and found.low <= 0 < min(values)
        bottom = min(values) if is_cut else found.low
        x.append(position)
        means.append(scale.clip(found.mean))
        low.append(scale.clip(bottom if found.n > 1 else found.mean))
        high.append(scale.clip(found.high if found.n > 1 else found.mean))
        if is_cut:
            notes.add(_CUT)
    if joined:
        axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    else:
        below = [mean - end for mean, end in zip(means, low, strict=True)]
        above = [end - mean for mean, end in zip(means, high, strict=True)]
        axes.errorbar(x, means, yerr=[below, above], fmt="none", ecolor=colour, capsize=4, linewidth=1.2)
    return notes


def _draw_runs(axes: "Axes", series: Series, scale: Scale, colour: Any, beside: float) -> None:
    if series.runs:
        for x, values in series.runs if len(series.runs) > 1 else ():
            axes.plot(x, [scale.clip(value) for value in values], color=colour, alpha=0.35, linewidth=0.7)
        return
    pairs = zip(series.positions, series.replicates, strict=True)
    dots = [(x + beside, scale.clip(value)) for x, values in pairs if len(values) > 1 for value in values]
    if dots:
        xs, ys = zip(*dots, strict=True)
        axes.plot(xs, ys, ".", markersize=5, color=colour, alpha=0.4, clip_on=False, linewidth=0)


def values_of(lines: Sequence[Line], metric: str) -> list[float]:
    """Return a metric's values of all runs in lines."""
    return [value for line in lines for setting in line.settings for value in setting.replicates(metric)]


def set_vertical(axes: "Axes", scale: Scale, lines: Sequence[Line], metric: str) -> set[str]:
    """Do what `set_limits` does, for lines of settings."""
    return set_limits(axes, scale, [_series(line, metric) for line in lines])


def set_limits(axes: "Axes", scale: Scale, series: Sequence[Series], marks: Sequence[float] = ()) -> set[str]:
    """Set the y axis to hold every run and mark, and of wide intervals as much as leaves the runs readable.

    Returns what a note has to explain.
    """
    values = [*(value for one in series for value in one.values), *marks]
    if scale.kind == "log":
        values = [max(value, scale.floor) for value in values if value > 0 or scale.floor > 0]
    ends = [
        end
        for one in series
        for _, found, _ in one.points
        for end in (found.low, found.high)
        if math.isfinite(end) and (end > 0 or scale.kind != "log")
    ]
    low, high = min(values), max(values)
    if scale.kind == "log":
        top = min(max([high, *ends]), 10 * high) * 1.5
        bottom = scale.floor * 0.3 if scale.floor > 0 else max(min([low, *ends]), low / 10) / 1.5
        set_log_limits(axes, bottom, top)
    else:
        reach = (high - low) or abs(high) or 1.0
        bottom, top = max(min([low, *ends]), low - reach), min(max([high, *ends]), high + reach)
        margin = 0.06 * ((top - bottom) or reach)
        bottom, top = bottom - margin, top + margin
        if low >= 0:
            # Losses are ratios to nothing lost: from 0, unless all lie far above it.
            bottom = 0.0 if low < high / 2 else max(bottom, 0.0)
        axes.set_ylim(bottom, top)
    is_cut = any(end > top or max(end, scale.floor) < bottom for end in ends)
    return {_BEYOND} if is_cut else set()


def mark_thresholds(
    column: Sequence["Axes"],
    lines: Sequence[Line],
    styles: Mapping[str, Mapping[str, Any]],
    *,
    logarithmic: bool,
) -> None:
    """Mark where parameters equal samples: once in grey if all lines agree, else in each line's colour."""
    found = [thresholds(line, logarithmic=logarithmic) for line in lines]
    places = sorted({place for line in found for place in line})
    if not places or (len(lines) > DISTINCT_LINES and len(places) > 1):
        return
    agree = all(line == found[0] for line in found)
    for axes in column:
        for line, positions in zip(lines, found, strict=True):
            for place in positions:
                colour = THRESHOLD if agree else styles[line.label]["color"]
                axes.axvline(place, color=colour, linestyle=(0, (2, 2)), linewidth=1.1, zorder=1)
    top = column[0]
    text = "parameters = samples" + (" × outputs" if max(map(outputs, lines)) > 1 else "")
    top.text(
        places[len(places) // 2],
        1.01,
        text,
        transform=top.get_xaxis_transform(),
        ha="center",
        va="bottom",
        color=THRESHOLD,
        fontsize=8.5,
    )
