"""What figures of values over a plane share: levels, ticks, contours, surfaces, a trajectory."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlexp.studies.scales import DECADES_SHOWN

if TYPE_CHECKING:
    import numpy
    import numpy.typing

    Array = numpy.typing.NDArray[numpy.floating]

COLOUR_MAP = "viridis"  # its lightness rises evenly: it reads in grey
LOG_FROM_RATIO = 10.0
_N_LEVELS = 24
_MANY_DECADES = 3


def shared_levels(values: Sequence["Array"], wanted: str | None = None) -> tuple["Array", bool]:
    """Return the levels that show all finite values, and whether they are logarithmic.

    They are where no value is negative and the largest is more than 10 times the smallest (or where log is
    `wanted`), over at most ``DECADES_SHOWN`` decades below the highest.
    """
    import numpy

    finite = numpy.concatenate([array[numpy.isfinite(array)] for array in values])
    if len(finite) == 0:
        return numpy.linspace(0, 1, _N_LEVELS), False
    low, high = float(finite.min()), float(finite.max())
    spans = low >= 0 and high > LOG_FROM_RATIO * low
    if high > 0 and (spans if wanted is None else wanted == "log"):
        lowest = float(finite[finite > 0].min())
        lowest = max(lowest if lowest < high else high / 10, high * 10.0**-DECADES_SHOWN)
        return numpy.geomspace(lowest, high, _N_LEVELS), True
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300):  # a flat surface still needs levels apart
        low, high = low - 0.5 * abs(low) - 1e-9, high + 0.5 * abs(high) + 1e-9
    return numpy.linspace(low, high, _N_LEVELS), False


def within(values: "Array", levels: "Array") -> "Array":
    """Return values with those beyond the levels, of the lowest decades or not finite, at the outermost."""
    import numpy

    return numpy.clip(numpy.nan_to_num(values, nan=numpy.inf), levels[0], levels[-1])


def log_ticks(levels: "Array") -> list[float]:
    """Return 1, 2 and 5 of each decade between the levels, or the decades alone where there are many."""
    first, last = math.floor(math.log10(levels[0])), math.ceil(math.log10(levels[-1]))
    digits = (1, 2, 5) if last - first <= _MANY_DECADES else (1,)
    ticks = [digit * 10.0**exponent for exponent in range(first, last + 1) for digit in digits]
    return [tick for tick in ticks if levels[0] <= tick <= levels[-1]]


def draw_contours(axes: Any, at: "Array", values: "Array", levels: "Array", *, is_log: bool) -> Any:
    """Draw values (m, m) over a plane as filled contours; return what a colour bar is made for."""
    from matplotlib.colors import LogNorm, Normalize

    norm = (LogNorm if is_log else Normalize)(levels[0], levels[-1])
    shown = within(values, levels)
    filled = axes.contourf(at, at, shown.T, levels=levels, norm=norm, cmap=COLOUR_MAP)
    axes.contour(at, at, shown.T, levels=levels[::3], colors="white", linewidths=0.4, alpha=0.7)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.locator_params(nbins=6)
    return filled


def draw_surface(axes: Any, at: "Array", values: "Array", levels: "Array", *, is_log: bool) -> None:
    """Draw values (m, m) over a plane as a surface; its height is their logarithm to base 10 if `is_log`."""
    import numpy

    height = numpy.log10 if is_log else numpy.asarray
    low, high = height(levels[0]), height(levels[-1])
    first, second = numpy.meshgrid(at, at, indexing="ij")
    axes.plot_surface(
        first,
        second,
        height(within(values, levels)),
        cmap=COLOUR_MAP,
        vmin=low,
        vmax=high,
        rcount=len(at),
        ccount=len(at),
        edgecolor="black",
        linewidth=0.1,
    )
    axes.set_zlim(low, high)


def draw_trajectory(axes: Any, trajectory: "Array") -> None:
    """Draw the networks (T, 2) of a training run into a plane, the first and the last marked."""
    axes.plot(*trajectory.T, "-", color="white", linewidth=3.2)
    axes.plot(*trajectory.T, ".-", color="black", linewidth=1.2, markersize=5, label="networks measured")
    marked = {"color": "white", "markeredgecolor": "black", "linewidth": 0}
    axes.plot(*trajectory[0], "s", label="first", **marked)
    axes.plot(*trajectory[-1], "*", label="last", markersize=13, **marked)
