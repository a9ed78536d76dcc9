"""Axes that suit what they show: scales, ticks at values, limits that `fit`, a `legend` out of the way."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dlexp.plots.lines import INTERVAL, RUNS, FloatArray, Point, placeable
from dlexp.plots.marks import LAW, MARK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.legend import Legend

# A loss at the level of round-off says 'fitted exactly'; drawn in full it would take the axis from all else.
DECADES_SHOWN = 8
BELOW = "_below"
LEGEND: dict[str, Any] = {"borderpad": 0, "handlelength": 3.0}  # long enough to tell dashes apart
_FEW_DECADES = 2.5
_MOST_TICKS = 20
_EARLY = 0.1  # of all steps
_MARKER = 5.0  # points that a marker reaches from its place
_INSIDE: tuple[Any, ...] = (
    "upper right",
    "upper left",
    "lower left",
    "lower right",
    "center right",
    "center left",
)


def log(axes: "Axes", which: Literal["x", "y", "both"] = "both") -> "Axes":
    """Make axes logarithmic; what is not positive has no place on them. Call it before anything is drawn.

    >>> from matplotlib.figure import Figure
    >>> log(Figure().subplots(), "y").get_yscale()
    'log'
    """
    if which in ("x", "both"):
        axes.set_xscale("log", nonpositive="mask")
    if which in ("y", "both"):
        axes.set_yscale("log", nonpositive="mask")
    return axes


def log_if_wide(axes: "Axes", values: Iterable[Any], ratio: float = 10.0) -> "Axes":
    """Make the y axis logarithmic where finite values are all positive and span more than a ratio.

    >>> from matplotlib.figure import Figure
    >>> log_if_wide(Figure().subplots(), [1.0, 20.0, float("nan")]).get_yscale()
    'log'
    """
    found = placeable(list(values))
    found = found[np.isfinite(found)]
    is_wide = bool(len(found)) and found.min() > 0 and found.max() > ratio * found.min()
    return log(axes, "y") if is_wide else axes


def step_axis(axes: "Axes", steps: Sequence[float]) -> "Axes":
    """Name the x axis, and make it logarithmic, with a 0, where most steps are early ones.

    >>> from matplotlib.figure import Figure
    >>> step_axis(Figure().subplots(), [0, 1, 10, 100, 1000]).get_xscale()
    'symlog'
    """
    axes.set_xlabel("optimizer step")
    later = sorted(step for step in steps if step > 0)
    if later and later[len(later) // 2] <= _EARLY * later[-1]:
        axes.set_xscale("symlog", linthresh=later[0])
        axes.set_xlim(0 if min(steps) <= 0 else later[0] / 1.15, later[-1] * 1.15)
    return axes


def ticks_at(axes: "Axes", values: Iterable[float | Point], labels: Sequence[str] | None = None) -> "Axes":
    """Put the ticks of the x axis at values, or at the positions of points as `band` takes them.

    There are none where these are many; labels that would touch are left out when a page is finished.

    >>> from matplotlib.figure import Figure
    >>> axes = ticks_at(Figure().subplots(), [1, 5, 200])
    >>> [label.get_text() for label in axes.get_xticklabels()]
    ['1', '5', '200']
    """
    places = placeable([value[0] if isinstance(value, tuple) else value for value in values])
    shown = places > 0 if axes.get_xscale() == "log" else np.isfinite(places)
    ticks = np.unique(places[shown]).tolist()
    if not ticks or (len(ticks) > _MOST_TICKS and labels is None):
        return axes
    from matplotlib.ticker import NullLocator

    axes.set_xticks(ticks, list(labels) if labels else [number_text(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    return axes


def thin_ticks(axes: "Axes") -> None:
    """Hide labels of the x axis that touch others; the first and the last stay."""
    labels = [label for label in axes.get_xticklabels() if label.get_text()]
    figure = axes.get_figure(root=True)
    assert figure is not None
    gap = 2 * figure.dpi / 72
    boxes = [label.get_window_extent() for label in labels]
    kept: list[int] = []
    for i in dict.fromkeys([0, len(labels) - 1, *range(len(labels))]) if labels else ():
        if all(boxes[i].x0 > boxes[j].x1 + gap or boxes[j].x0 > boxes[i].x1 + gap for j in kept):
            kept.append(i)
    if len(kept) < len(labels):
        kept.sort()
        ticks = [float(label.get_position()[0]) for label in labels]
        axes.set_xticks([ticks[i] for i in kept], [labels[i].get_text() for i in kept])


def number_text(value: float) -> str:
    """Return a number as people write it.

    >>> number_text(0.5), number_text(1000.0), number_text(1e-7)
    ('0.5', '1000', '1e-7')
    """
    if value % 1 == 0 and abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def fit(axes: "Axes") -> "Axes":
    """Set the y axis to hold every mean, run and threshold, and of wide intervals what leaves these readable.

    A logarithmic axis shows at most ``DECADES_SHOWN`` decades below the highest value; what is lower, or not
    positive, is marked at its bottom. A linear axis of values that are not negative begins at 0, unless all
    are far above. Panels that share the axis are fitted together. Limits that were set are left as they are.

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().subplots()
    >>> _ = axes.plot([1, 2], [0.0, 5.0])
    >>> [float(end) for end in fit(axes).get_ylim()]
    [0.0, 5.3]
    """
    panels = axes.get_shared_y_axes().get_siblings(axes)
    values = np.concatenate([_values(panel) for panel in panels])
    is_log = axes.get_yscale() == "log"
    if is_log:
        values = values[values > 0]
    if len(values) and all(panel.get_autoscaley_on() for panel in panels):
        ends = np.concatenate([_interval_ends(panel) for panel in panels])
        axes.set_ylim(*(_log_limits if is_log else _linear_limits)(values, ends), auto=True)
    bottom, top = axes.get_ylim()
    for line in axes.lines:
        if _is_in_data(axes, line) and not line.get_clip_on():
            y = np.asarray(line.get_ydata(), dtype=float)
            line.set_clip_on(bool(np.any((y < bottom) | (y > top))))
    if is_log:
        _label_log_axis(axes.yaxis, bottom, top)
        _mark_below(axes)
    if axes.get_xscale() == "log" and axes.xaxis.get_major_locator().__class__.__name__ == "LogLocator":
        _label_log_axis(axes.xaxis, *axes.get_xlim())
    return axes


def legend(axes: "Axes") -> "Legend | None":
    """Write a legend where it covers nothing that is drawn, or else under the panel. Call it last.

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().subplots()
    >>> _ = axes.plot([1, 2], [1, 2], label="rising")
    >>> [text.get_text() for text in legend(axes).get_texts()]
    ['rising']
    """
    handles = legend_handles(axes)
    if not any(handles):
        return None
    from dlexp.plots.placed import obstacles

    drawn = obstacles(axes)
    for place in _INSIDE:
        found: Legend = axes.legend(handles.values(), handles, loc=place, **LEGEND)
        box = found.get_window_extent().padded(_MARKER * found.figure.dpi / 72)
        if not ((drawn > (box.x0, box.y0)) & (drawn < (box.x1, box.y1))).all(axis=1).any():
            return found
    return legend_below(axes)


def legend_below(axes: "Axes") -> "Legend | None":
    """Write a legend under a panel's tick labels and name."""
    handles = legend_handles(axes)
    if not any(handles):
        return None
    figure = axes.get_figure(root=True)
    assert figure is not None
    lowest = axes.xaxis.get_tightbbox() or axes.get_window_extent()
    y = axes.transAxes.inverted().transform((0, lowest.y0 - 4 * figure.dpi / 72))[1]
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, float(y)), "borderaxespad": 0}
    room = axes.get_window_extent().width
    for columns in range(len(handles), 0, -1):
        found: Legend = axes.legend(handles.values(), handles, ncols=columns, **place, **LEGEND)
        if columns == 1 or found.get_window_extent().width <= room:
            return found
    return None


def legend_handles(axes: "Axes") -> dict[str, Any]:
    """Return the lines of a panel by their labels, those without values left out."""
    handles, labels = axes.get_legend_handles_labels()
    pairs = zip(labels, handles, strict=True)
    return {label: handle for label, handle in pairs if not is_empty(handle)}


def is_empty(handle: Any) -> bool:
    """Return whether a labelled line has no values."""
    from matplotlib.lines import Line2D

    return isinstance(handle, Line2D) and np.size(handle.get_xdata()) == 0


def _values(axes: "Axes") -> FloatArray:
    from matplotlib.patches import Rectangle

    lines = [line for line in axes.lines if line.get_label() not in (LAW, BELOW)]
    ends = [np.asarray(line.get_ydata(), dtype=float).ravel() for line in lines if _is_in_data(axes, line)]
    bars = [(0.0, bar.get_height()) for bar in axes.patches if isinstance(bar, Rectangle)]
    values: FloatArray = np.concatenate([np.empty(0), *ends, *map(np.asarray, bars)])
    return values[np.isfinite(values)]


def _is_in_data(axes: "Axes", line: Any) -> bool:
    return bool(line.get_transform().contains_branch_seperately(axes.transData)[1])


def _interval_ends(axes: "Axes") -> FloatArray:
    drawn: list[Any] = [found for found in axes.collections if found.get_label() == INTERVAL]
    drawn += [part for found in axes.containers if found.get_label() == INTERVAL for part in found[2]]
    ends = [path.vertices[:, 1] for found in drawn for path in found.get_paths()]
    values: FloatArray = np.concatenate([np.empty(0), *ends])
    return values[np.isfinite(values)]


def _log_limits(values: FloatArray, ends: FloatArray) -> tuple[float, float]:
    high = float(values.max())
    shown = values[values >= high * 10.0**-DECADES_SHOWN]
    low, ends = float(shown.min()), ends[ends > 0]
    top = min(max([high, *ends]), 10 * high)
    bottom = max(min([low, *ends]), low / 10, high * 10.0**-DECADES_SHOWN)
    return bottom / 1.5, top * 1.5


def _linear_limits(values: FloatArray, ends: FloatArray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    reach = (high - low) or abs(high) or 1.0
    bottom, top = max(min([low, *ends]), low - reach), min(max([high, *ends]), high + reach)
    margin = 0.06 * ((top - bottom) or reach)
    if low >= 0:  # losses are ratios to nothing lost: from 0, unless all lie far above it
        return 0.0 if low < high / 2 else max(bottom - margin, 0.0), top + margin
    return bottom - margin, top + margin


def _label_log_axis(axis: "Axis", low: float, high: float) -> None:
    """Label a logarithmic axis between its powers of ten too, where few of these lie on it."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if math.log10(high / low) < _FEW_DECADES:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: number_text(float(value))))


def _mark_below(axes: "Axes") -> None:
    """Mark at the bottom of a logarithmic axis the means that lie below it."""
    for line in [line for line in axes.lines if line.get_label() == BELOW]:
        line.remove()
    bottom = axes.get_ylim()[0]
    for line in list(axes.lines):
        is_no_mean = (
            line.get_label() in (RUNS, LAW, MARK, BELOW) or line.get_marker() == "_"
        )  # a whisker's end
        if is_no_mean or not _is_in_data(axes, line):
            continue
        x, y = (np.asarray(data, dtype=float) for data in line.get_data())
        low = x[y < bottom]
        if len(low):
            axes.plot(
                low,
                np.full(len(low), 0.015),
                "v",
                transform=axes.get_xaxis_transform(),
                color=line.get_color(),
                markersize=8,
                label=BELOW,
                zorder=4,
                scalex=False,
                scaley=False,
            )
