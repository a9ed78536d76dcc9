"""What theory says of a panel: laws, closed forms, thresholds, crossings, each with its text beside it."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlexp.plots.lines import LARGEST, Point, drawable, give_limits, placeable
from dlexp.plots.style import BLACK, DASHED, DOTTED, THRESHOLD

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LAW, MARK = "_law", "_mark"
_POINTS = 61  # of a line whose ends are known


def law(axes: "Axes", slope: float, through: Sequence[Point], label: str = "") -> "Axes":
    """Draw the power law ``y = c x^slope`` through the geometric mean of points, over their range.

    Args:
        axes: to draw into.
        slope: the exponent; it is written beside the line, after the label.
        through: points as `band` takes them, of which positive ones are used; fewer than two draw nothing.
        label: whose law it is.

    >>> from matplotlib.figure import Figure
    >>> axes = law(Figure().subplots(), -1, [(1, 8.0, 0, 0, []), (4, 2.0, 0, 0, [])])
    >>> [round(float(y), 6) for y in axes.lines[0].get_ydata()[[0, -1]]]
    [8.0, 2.0]
    """
    pairs = placeable([point[:2] for point in through]).reshape(-1, 2)
    pairs = pairs[(pairs > 0).all(axis=1)]
    if len(pairs) < 2:
        return axes
    centre, level = np.log(pairs).mean(axis=0)
    x = np.geomspace(pairs[:, 0].min(), pairs[:, 0].max(), _POINTS)
    y = np.exp(np.minimum(level + slope * (np.log(x) - centre), np.log(LARGEST)))
    axes.plot(x, y, color=BLACK, linestyle=DASHED, linewidth=1.1, zorder=3.2, label=LAW)
    text = f"slope {slope:g}".replace("-", "\N{MINUS SIGN}")
    return beside(axes, f"{label} ({text})" if label else text, np.column_stack([x, y]))


def closed_form(axes: "Axes", x: npt.ArrayLike, y: npt.ArrayLike, label: str = "", **style: Any) -> "Axes":
    """Draw what a formula gives as a thin black line; keywords as of ``Axes.plot``.

    >>> from matplotlib.figure import Figure
    >>> closed_form(Figure().subplots(), [1, 2], [0.5, 0.25], "2^-d").lines[0].get_color()
    '#000000'
    """
    y = np.where(np.isinf(y), y, placeable(y))  # a pole breaks the line
    style = {"color": BLACK, "linewidth": 1.1, "zorder": 2.8, **style}
    axes.plot(placeable(x), y, label=label, **style)
    return give_limits(axes)


def diagonal(axes: "Axes", label: str = "equal") -> "Axes":
    """Draw the line on which x and y are equal, across what the panel shows.

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().subplots()
    >>> _ = axes.set(xlim=(0, 2), ylim=(1, 3))
    >>> diagonal(axes).lines[0].get_xdata().tolist()
    [1.0, 2.0]
    """
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    ends = [max(left, bottom), min(right, top)]
    if ends[0] >= ends[1]:
        return axes
    axes.plot(ends, ends, color=BLACK, linestyle=DASHED, linewidth=1.1, zorder=2.5, label=LAW)
    return beside(axes, label, np.column_stack([ends, ends]))


def threshold(
    axes: "Axes", label: str = "", *, x: float | None = None, y: float | None = None, **style: Any
) -> "Axes":
    """Draw a dotted line across the panel at an x or a y, its label beside it; keywords as of ``Axes.plot``.

    >>> from matplotlib.figure import Figure
    >>> threshold(Figure().subplots(), "edge of stability", y=2.0).lines[0].get_ydata()
    [2.0, 2.0]
    """
    at = x if y is None else y
    if at is None or None not in (x, y):
        raise ValueError(f"A threshold is at an x or at a y; got x={x} and y={y}.")
    style = {"color": THRESHOLD, "linestyle": DOTTED, "linewidth": 1.1, "zorder": 1, **style}
    place = float(drawable(axes, at))
    if math.isnan(place):
        return axes
    (axes.axvline if y is None else axes.axhline)(place, label=MARK, **style)
    if label:
        from dlexp.plots.placed import PlacedText

        along = [(place, 0), (place, 1)] if y is None else [(0, place), (1, place)]
        PlacedText(
            axes, label, along, axes.get_xaxis_transform() if y is None else axes.get_yaxis_transform()
        )
    return axes


def crossing(
    axes: "Axes", points: Sequence[Point], level: float | Sequence[Point], label: str = "", **style: Any
) -> "Axes":
    """Mark where a line of points crosses a level, or another line over the same positions.

    Between positions it is interpolated: on a logarithmic x axis the logarithm of their ratio, else their
    difference. Nothing is drawn where they do not cross.

    >>> from matplotlib.figure import Figure
    >>> parameters = [(width, 20 * width, 0, 0, []) for width in (1, 2, 10)]
    >>> crossing(Figure().subplots(), parameters, 100, "parameters = samples").lines[0].get_xdata()
    [5.0, 5.0]
    """
    x, first = [point[0] for point in points], [point[1] for point in points]
    second = [point[1] for point in level] if isinstance(level, Sequence) else [level] * len(x)
    for place in crossings(x, first, second, logarithmic=axes.get_xscale() == "log"):
        threshold(axes, label, x=place, **style)
        label = ""
    return axes


def crossings(
    x: Sequence[float], first: Sequence[float], second: Sequence[float], *, logarithmic: bool
) -> list[float]:
    """Return where two quantities (n,) over positions x (n,) are equal, see `crossing`.

    >>> crossings([1, 4], [1, 4], [2, 2], logarithmic=True)
    [2.0]
    """
    columns = placeable([x, first, second])
    if logarithmic and (columns <= 0).any():
        return []
    places, one, other = np.log(columns) if logarithmic else columns
    excess = one - other
    found = [place for place, over in zip(places, excess, strict=True) if over == 0]
    for (x0, y0), (x1, y1) in pairwise(zip(places, excess, strict=True)):
        if y0 * y1 < 0:
            found.append(x0 + (x1 - x0) * y0 / (y0 - y1))
    return sorted(float(np.exp(place) if logarithmic else place) for place in found)


def beside(axes: "Axes", text: str, along: npt.ArrayLike) -> "Axes":
    """Write a text beside a line (n, 2), at the point where it covers least of what is drawn.

    >>> from matplotlib.figure import Figure
    >>> axes = beside(Figure().subplots(), "slope 1", [(0, 0), (1, 1)])
    >>> [text.get_text() for text in axes.texts]
    ['slope 1']
    """
    from dlexp.plots.placed import PlacedText

    PlacedText(axes, text, along)
    return axes
