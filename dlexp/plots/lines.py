"""Means with their intervals and single runs: `band`, `paths`, `scatter`, `bars`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlexp.plots.style import line_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
# A position, the mean of its replicates, the ends of their interval (NaN for one replicate), the replicates.
Point = tuple[float, float, float, float, Sequence[float]]

# Labels of what is no line of its own; matplotlib leaves labels with _ out of legends.
INTERVAL, RUNS = "_interval", "_runs"
_MOST_MARKERS, _FEW_MARKERS = 12, 8  # on a path, whose points are close
_MANY = 100  # points of a scatter plot, which hide each other if they are not pale


def band(
    axes: "Axes", points: Sequence[Point], label: str = "", *, control: bool = False, **style: Any
) -> "Axes":
    """Draw means as a line, their intervals as a band, single runs as dots.

    On a logarithmic axis the interval is that of the logarithm of the mean, ``mean * exp(+-half / mean)``
    (the delta method), which is symmetric there and never reaches 0.

    Args:
        axes: to draw into; set a logarithmic scale before.
        points: (position, mean, low, high, replicates) each, in order, as ``Table.group`` gives them.
        label: in the legend; the same label looks the same in all panels of a figure.
        control: draw it as a control, grey and dashed.
        style: keywords of ``Axes.plot`` for the line.

    >>> from matplotlib.figure import Figure
    >>> points = [(1, 2.0, 1.0, 3.0, [1.5, 2.5]), (2, 4.0, 3.0, 5.0, [3.5, 4.5])]
    >>> axes = band(Figure().subplots(), points, "100 samples")
    >>> axes.lines[-1].get_xydata().tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    """
    label, style = _styled(axes, label, control, style)
    x = [point[0] for point in points]
    mean = [point[1] for point in points]
    low, high = interval(axes, points)
    axes.fill_between(x, low, high, color=style["color"], alpha=0.18, linewidth=0, label=INTERVAL)
    _dots(axes, [(x, values) for x, *_, values in points], style["color"])
    axes.plot(x, mean, label=label, zorder=3, clip_on=not points, **style)
    return axes


def paths(
    axes: "Axes",
    runs: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
    label: str = "",
    *,
    control: bool = False,
    **style: Any,
) -> "Axes":
    """Draw each run's path as a thin line; the mean where all have a value as a line, its interval as a band.

    Args:
        axes: to draw into; set a logarithmic scale before.
        runs: positions (n,) and values (n,) of each run; values that are not finite are left out.
        label: in the legend; the same label looks the same in all panels of a figure.
        control: draw it as a control, grey and dashed.
        style: keywords of ``Axes.plot`` for the mean.

    >>> from matplotlib.figure import Figure
    >>> axes = paths(Figure().subplots(), [([0, 1], [4.0, 2.0]), ([0, 1, 2], [2.0, 0.0, 1.0])], "lr 0.1")
    >>> axes.lines[-1].get_xydata().tolist()
    [[0.0, 3.0], [1.0, 1.0]]
    """
    label, style = _styled(axes, label, control, style)
    found = [path for path in (_finite(x, y) for x, y in runs) if path]
    if len(found) > 1:
        for path in found:
            axes.plot(
                list(path), list(path.values()), label=RUNS, color=style["color"], alpha=0.35, linewidth=0.7
            )
    shared = sorted(set.intersection(*map(set, found))) if found else []
    points = [(x, *mean_interval([path[x] for path in found]), ()) for x in shared]
    low, high = interval(axes, points)
    axes.fill_between(shared, low, high, color=style["color"], alpha=0.18, linewidth=0, label=INTERVAL)
    every = slice(None, None, max(len(shared) // _FEW_MARKERS, 1) if len(shared) > _MOST_MARKERS else 1)
    means = [point[1] for point in points]
    axes.plot(shared, means, label=label, zorder=3, markevery=every, clip_on=not shared, **style)
    return axes


def scatter(
    axes: "Axes",
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    label: str = "",
    *,
    control: bool = False,
    **style: Any,
) -> "Axes":
    """Draw a point for each x (n,) and y (n,), pale where there are many; keywords as of ``Axes.plot``.

    >>> from matplotlib.figure import Figure
    >>> scatter(Figure().subplots(), [1, 2], [3, 4], "batch 4").lines[0].get_xydata().tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    label, style = _styled(axes, label, control, style)
    alpha = 0.75 if np.size(x) <= _MANY else 0.4
    axes.plot(
        x, y, label=label, clip_on=np.size(x) == 0, zorder=3, **{"alpha": alpha, **style, "linestyle": "none"}
    )
    return axes


def bars(axes: "Axes", groups: Mapping[str, Sequence[float | None]], **style: Any) -> "Axes":
    """Draw each group's mean as a bar, its interval as whiskers, single runs as dots beside it.

    Groups without finite replicates have a place and nothing in it. A logarithmic axis, set before, has no 0
    for a bar to begin at: there are markers only.

    >>> from matplotlib.figure import Figure
    >>> axes = bars(Figure().subplots(), {"SGD": [1.0, 3.0], "Adam": [5.0]})
    >>> [float(bar.get_height()) for bar in axes.patches]
    [2.0, 5.0]
    """
    _, style = _styled(axes, "", False, style)
    finite = {
        name: [v for v in values if v is not None and np.isfinite(v)] for name, values in groups.items()
    }
    points = [
        (float(place), *mean_interval(values), values)
        for place, values in enumerate(finite.values())
        if values
    ]
    x, mean = [point[0] for point in points], np.array([point[1] for point in points])
    if axes.get_yscale() != "log":
        axes.bar(x, mean, 0.72, color=style["color"], alpha=0.3, zorder=1)
    low, high = interval(axes, points)
    whiskers = {"ecolor": style["color"], "capsize": 4, "linewidth": 1.2, "label": INTERVAL}
    axes.errorbar(x, mean, yerr=[mean - low, high - mean], fmt="none", **whiskers)
    _dots(axes, [(x + 0.12, values) for x, *_, values in points], style["color"])
    axes.plot(x, mean, zorder=3, clip_on=not points, **{**style, "linestyle": "none"})
    axes.set_xticks(range(len(groups)), list(groups))
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.grid(visible=False, axis="x")
    axes.tick_params(axis="x", length=0)
    return axes


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of replicates and its 95 % Student-t interval; a single one has none (NaN).

    >>> [round(end, 3) for end in mean_interval([1.0, 3.0])]
    [2.0, -10.706, 14.706]
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, np.nan, np.nan
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, 0.975)) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return mean, mean - half, mean + half


def interval(axes: "Axes", points: Sequence[Point]) -> tuple[FloatArray, FloatArray]:
    """Return the ends (n,), (n,) of the points' intervals as `axes` show them, see `band`.

    They are the means where there is no interval.
    """
    mean, low, high = (np.array([point[i] for point in points], dtype=float) for i in (1, 2, 3))
    if axes.get_yscale() == "log":
        with np.errstate(all="ignore"):
            factor = np.exp(np.minimum((high - low) / 2 / np.where(mean > 0, mean, np.nan), 700))
        mean = np.where(mean > 0, mean, np.nan)
        low, high = mean / factor, mean * factor
    return np.where(np.isnan(low), mean, low), np.where(np.isnan(high), mean, high)


def _styled(axes: "Axes", label: str, control: bool, style: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a label, which says of a control that it is one, and the keywords of ``plot``."""
    if control and "control" not in label:
        label = f"{label} (control)"
    return label, {**line_style(axes, label, control=control), **style}


def _dots(axes: "Axes", replicates: Sequence[tuple[float, Sequence[float]]], colour: Any) -> None:
    dots = [(x, value) for x, values in replicates if len(values) > 1 for value in values]
    if dots:
        xs, ys = zip(*dots, strict=True)
        axes.plot(xs, ys, ".", label=RUNS, markersize=5, color=colour, alpha=0.4, clip_on=False)


def _finite(x: npt.ArrayLike, y: npt.ArrayLike) -> dict[float, float]:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(
            f"A path has positions of shape {x.shape} and values of shape {y.shape}; both are (n,)."
        )
    kept = np.isfinite(x) & np.isfinite(y)
    return dict(sorted(zip(x[kept].tolist(), y[kept].tolist(), strict=True)))
