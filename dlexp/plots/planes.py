"""Values over a plane: `surface` (contours or, in space, a surface), `matrix`, `trajectory`, `colour_bar`."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlexp.plots.axes import DECADES_SHOWN, number_text
from dlexp.plots.lines import drawable, placeable
from dlexp.plots.style import COLOUR_MAP

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[Any]

_LOG_FROM_RATIO = 10.0
_N_LEVELS = 24
_MANY_DECADES = 3
_IN_TEXT = 8  # rows of a matrix up to which its numbers can be read


class Levels:
    """The levels that show all finite values of some planes on one colour scale.

    They are logarithmic where no value is negative and the largest more than 10 times the smallest, over at
    most ``DECADES_SHOWN`` decades below the highest.

    Args:
        planes: arrays of any shapes; values that are not finite are left out.

    >>> import numpy as np
    >>> levels = Levels([np.array([[1.0, 10.0], [100.0, np.inf]])])
    >>> levels.is_log, float(levels.values[0]), levels.ticks
    (True, 1.0, [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0])
    """

    def __init__(self, planes: Sequence[Array]) -> None:
        finite = np.concatenate([np.empty(0), *(placeable(array).ravel() for array in planes)])
        finite = finite[np.isfinite(finite)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        self.is_log = low >= 0 and high > _LOG_FROM_RATIO * low and bool(len(finite))
        if self.is_log:
            lowest = float(finite[finite > 0].min())
            lowest = max(lowest if lowest < high else high / 10, high * 10.0**-DECADES_SHOWN)
            self.values = np.geomspace(lowest, high, _N_LEVELS)
            return
        if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300):  # a flat surface still needs levels apart
            low, high = low - 0.5 * abs(low) - 1e-9, high + 0.5 * abs(high) + 1e-9
        self.values = np.linspace(low, high, _N_LEVELS)

    def within(self, values: Array) -> Array:
        """Return values with those beyond the levels, or not finite, at the outermost."""
        finite: Array = np.nan_to_num(values, nan=np.inf)
        return finite.clip(self.values[0], self.values[-1])

    @property
    def norm(self) -> Any:
        """The scale of the colours."""
        from matplotlib.colors import LogNorm, Normalize

        return (LogNorm if self.is_log else Normalize)(self.values[0], self.values[-1])

    @property
    def ticks(self) -> list[float]:
        """Of a logarithmic scale 1, 2 and 5 of each decade, or the decades alone where there are many."""
        if not self.is_log:
            return []
        first, last = (
            function(math.log10(end))
            for function, end in zip((math.floor, math.ceil), self.values[[0, -1]], strict=True)
        )
        digits = (1, 2, 5) if last - first <= _MANY_DECADES else (1,)
        ticks = [digit * 10.0**exponent for exponent in range(first, last + 1) for digit in digits]
        return [tick for tick in ticks if self.values[0] <= tick <= self.values[-1]]


def surface(axes: Any, at: npt.ArrayLike, values: Array, levels: Levels | None = None) -> Any:
    """Draw values (m, m) over a plane: filled contours, or in axes of three dimensions a surface.

    Args:
        axes: to draw into.
        at: coordinates (m,) along both directions; the first direction is that of the rows and of the x axis.
        values: of which those that are not finite are drawn as the highest.
        levels: that several planes share; by default those of these values. In space the height is the
            logarithm to base 10 where they are logarithmic.

    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> at = np.linspace(-1, 1, 5)
    >>> axes = surface(Figure().subplots(), at, at[:, None] ** 2 + at**2)
    >>> axes.get_aspect(), axes.get_xbound() == (-1, 1)
    (1.0, True)
    """
    at = np.asarray(at, dtype=float)
    if values.shape != (len(at), len(at)):
        raise ValueError(
            f"A surface over {len(at)} coordinates has {len(at)} x {len(at)} values, not {values.shape}."
        )
    levels = levels or Levels([values])
    if axes.name == "3d":
        return _in_space(axes, at, values, levels)
    shown = levels.within(values).T
    axes.contourf(at, at, shown, levels=levels.values, norm=levels.norm, cmap=COLOUR_MAP)
    axes.contour(at, at, shown, levels=levels.values[::3], colors="white", linewidths=0.4, alpha=0.7)
    axes.set_aspect("equal")
    axes.set(xlim=(float(at[0]), float(at[-1])), ylim=(float(at[0]), float(at[-1])))
    axes.grid(visible=False)
    axes.locator_params(nbins=6)
    return axes


def _in_space(axes: Any, at: Array, values: Array, levels: Levels) -> Any:
    height = np.log10 if levels.is_log else np.asarray
    low, high = height(levels.values[0]), height(levels.values[-1])
    first, second = np.meshgrid(at, at, indexing="ij")
    axes.plot_surface(
        first,
        second,
        height(levels.within(values)),
        cmap=COLOUR_MAP,
        vmin=low,
        vmax=high,
        rcount=len(at),
        ccount=len(at),
        edgecolor="black",
        linewidth=0.1,
    )
    axes.set_zlim(low, high)
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=8, pad=0)
    axes.tick_params(axis="z", pad=3)
    if levels.is_log:
        axes.set_zticks(np.log10(levels.ticks), [number_text(tick) for tick in levels.ticks])
    return axes


def matrix(
    axes: "Axes", values: Array, limits: tuple[float, float] | None = None, *, numbers: bool = False
) -> "Axes":
    """Draw a matrix (m, k) as it is written, on a colour scale between limits; small ones with their numbers.

    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> axes = matrix(Figure().subplots(), np.eye(2), (0, 1), numbers=True)
    >>> [text.get_text() for text in axes.texts]
    ['1.00', '0.00', '0.00', '1.00']
    """
    from matplotlib.ticker import MaxNLocator

    values = drawable(axes, values)
    finite = values[np.isfinite(values)]
    low, high = limits or ((float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0))
    axes.imshow(values, vmin=low, vmax=high, cmap="cividis", interpolation="nearest")
    axes.grid(visible=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    if numbers and len(values) <= _IN_TEXT:
        for (row, column), value in np.ndenumerate(values):
            text = f"{value:.3g}" if abs(value) >= 1000 else f"{value:.2f}" if np.isfinite(value) else "–"
            colour = "white" if value < low + 0.6 * (high - low) else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    return axes


def trajectory(axes: Any, points: npt.ArrayLike) -> Any:
    """Draw the networks (T, 2) of a training run into a plane, the first and the last marked.

    >>> from matplotlib.figure import Figure
    >>> [line.get_label() for line in trajectory(Figure().subplots(), [(0, 0), (1, 2)]).lines[1:]]
    ['networks measured', 'first', 'last']
    """
    points = drawable(axes, points)
    axes.plot(*points.T, "-", color="white", linewidth=3.2, label="_edge")
    axes.plot(*points.T, ".-", color="black", linewidth=1.2, markersize=5, label="networks measured")
    marked = {"color": "white", "markeredgecolor": "black", "linewidth": 0}
    axes.plot(*points[0], "s", label="first", **marked)
    axes.plot(*points[-1], "*", label="last", markersize=13, **marked)
    return axes


def colour_bar(axes: Any, label: str, levels: Levels | None = None, beside: Sequence[Any] = ()) -> Any:
    """Draw the colour bar of a plane or matrix beside its axes, or beside all that share it; return its axes.

    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> axes = matrix(Figure().subplots(), np.eye(2))
    >>> colour_bar(axes, "kernel").get_ylabel()
    'kernel'
    """
    drawn = next(found for found in [*axes.images, *axes.collections] if found.get_array() is not None)
    bar = axes.get_figure(root=True).colorbar(drawn, ax=list(beside) or [axes], label=label)
    if levels is not None and levels.is_log:
        bar.ax.set_yticks(levels.ticks, [number_text(tick) for tick in levels.ticks])
        bar.ax.minorticks_off()
    return bar.ax
