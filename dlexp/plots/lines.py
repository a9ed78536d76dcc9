"""Means with their intervals and single runs: `band`, `paths`, `scatter`, `bars`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlexp.estimate import estimate
from dlexp.plots.style import line_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
# A position, the mean of its replicates, the ends of their interval (NaN for one replicate), the replicates.
Point = tuple[float, float, float, float, Sequence[float]]

LARGEST = 1e150
"""What is larger is left out of figures, what is smaller than its inverse counts as 0: squares overflow."""

# Labels of what is no line of its own; matplotlib leaves labels with _ out of legends.
INTERVAL, RUNS, LEFT_OUT = "_interval", "_runs", "_left_out"
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
    x = drawable(axes, [point[0] for point in points])
    mean, low, high = _intervals(axes, points)
    _fill(axes, x, low, high, style["color"])
    _dots(axes, points, style["color"])
    axes.plot(x, mean, label=label, zorder=3, clip_on=not points, **style)
    return give_limits(axes)


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
    found = [path for path in (_finite(axes, x, y) for x, y in runs) if path]
    for path in found if len(found) > 1 else ():
        thin = {"color": style["color"], "alpha": 0.35, "linewidth": 0.7}
        axes.plot(list(path), list(path.values()), label=RUNS, **thin)
    shared = sorted(set.intersection(*map(set, found))) if found else []
    points = [_point(x, [path[x] for path in found]) for x in shared]
    means, low, high = _intervals(axes, points)
    _fill(axes, np.array(shared), low, high, style["color"])
    every = slice(None, None, max(len(shared) // _FEW_MARKERS, 1) if len(shared) > _MOST_MARKERS else 1)
    axes.plot(shared, means, label=label, zorder=3, markevery=every, clip_on=not shared, **style)
    return give_limits(axes)


def scatter(
    axes: "Axes", x: npt.ArrayLike, y: npt.ArrayLike, label: str = "", *, control: bool = False, **style: Any
) -> "Axes":
    """Draw a point for each x (n,) and y (n,), pale where there are many; keywords as of ``Axes.plot``.

    >>> from matplotlib.figure import Figure
    >>> scatter(Figure().subplots(), [1, 2], [3, 4], "batch 4").lines[0].get_xydata().tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    label, style = _styled(axes, label, control, style)
    style = {"alpha": 0.75 if np.size(x) <= _MANY else 0.4, **style, "linestyle": "none"}
    axes.plot(drawable(axes, x), drawable(axes, y), label=label, clip_on=np.size(x) == 0, zorder=3, **style)
    return give_limits(axes)


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
    finite = [drawable(axes, [v for v in values if v is not None]) for values in groups.values()]
    finite = [values[np.isfinite(values)] for values in finite]
    points = [_point(place, values.tolist()) for place, values in enumerate(finite) if len(values)]
    x = [point[0] for point in points]
    mean, low, high = _intervals(axes, points)
    if axes.get_yscale() != "log":
        axes.bar(x, mean, 0.72, color=style["color"], alpha=0.3, zorder=1)
    whiskers = {"ecolor": style["color"], "capsize": 4, "linewidth": 1.2, "label": INTERVAL}
    give_limits(axes).errorbar(x, mean, yerr=[mean - low, high - mean], fmt="none", **whiskers)
    _dots(axes, points, style["color"], beside=0.12)
    axes.plot(x, mean, zorder=3, clip_on=not points, **{**style, "linestyle": "none"})
    give_limits(axes).set_xticks(range(len(groups)), list(groups))
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.grid(visible=False, axis="x")
    axes.tick_params(axis="x", length=0)
    return axes


def placeable(values: npt.ArrayLike) -> FloatArray:
    """Return values as floats, NaN where they are infinite or beyond ``LARGEST``, 0 within its inverse of 0.

    >>> placeable([1, 1e308, 5e-324, float("inf")]).tolist()
    [1.0, nan, 0.0, nan]
    """
    found = np.asarray(values, dtype=float)
    size = np.abs(found)
    kept: FloatArray = np.where(size <= LARGEST, np.where(size < 1 / LARGEST, 0.0, found), np.nan)
    return kept


def drawable(axes: "Axes", values: npt.ArrayLike) -> FloatArray:
    """Return `placeable` values; where some are lost, the notes of the axes' page will say so."""
    found = placeable(values)
    if np.isnan(found).any():
        axes.plot([], [], label=LEFT_OUT)
    return found


def give_limits(axes: "Axes") -> "Axes":
    """Give limits to a logarithmic axis on which none of its data has a place: matplotlib would warn."""
    limits = axes.dataLim
    for updatex, scale, least, most in (
        (True, axes.get_xscale(), limits.minposx, limits.x1),
        (False, axes.get_yscale(), limits.minposy, limits.y1),
    ):
        if scale == "log" and np.isinf(least) and np.isfinite(most):
            axes.update_datalim([(1, 1), (10, 10)], updatex=updatex, updatey=not updatex)
    return axes


def _point(x: float, values: Sequence[float]) -> Point:
    found = estimate(values)
    return float(x), found.mean, found.low, found.high, values


def _intervals(axes: "Axes", points: Sequence[Point]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the points' means (n,) and the ends (n,), (n,) of their intervals as `axes` show them.

    They are the means where there is no interval. See `band`.
    """
    mean = drawable(axes, [point[1] for point in points])
    low, high = (placeable([point[i] for point in points]) for i in (2, 3))
    if axes.get_yscale() == "log":
        centre = np.where(mean > 0, mean, np.nan)
        factor = np.exp(np.minimum((high - low) / 2 / centre, np.log(LARGEST)))
        low, high = centre / factor, centre * factor
        return mean, np.where(np.isnan(low), centre, low), np.where(np.isnan(high), centre, high)
    return mean, np.where(np.isnan(low), mean, low), np.where(np.isnan(high), mean, high)


def _fill(axes: "Axes", x: FloatArray, low: FloatArray, high: FloatArray, colour: Any) -> None:
    if axes.get_xscale() == "log":
        x = np.where(x > 0, x, np.nan)
    give_limits(axes).fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0, label=INTERVAL)


def _styled(axes: "Axes", label: str, control: bool, style: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a label, which says of a control that it is one, and the keywords of ``plot``."""
    if control and "control" not in label:
        label = f"{label} (control)"
    return label, {**line_style(axes, label, control=control), **style}


def _dots(axes: "Axes", points: Sequence[Point], colour: Any, beside: float = 0.0) -> None:
    dots = [(x + beside, value) for x, *_, values in points if len(values) > 1 for value in values]
    if dots:
        xs, ys = (drawable(axes, part) for part in zip(*dots, strict=True))
        axes.plot(xs, ys, ".", label=RUNS, markersize=5, color=colour, alpha=0.4, clip_on=False)


def _finite(axes: "Axes", x: npt.ArrayLike, y: npt.ArrayLike) -> dict[float, float]:
    x, y = drawable(axes, x), drawable(axes, y)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(
            f"A path has positions of shape {x.shape} and values of shape {y.shape}; both are (n,)."
        )
    kept = np.isfinite(x) & np.isfinite(y)
    return dict(sorted(zip(x[kept].tolist(), y[kept].tolist(), strict=True)))
