"""Planes of values as heat maps in one scale for a figure, with a trajectory, or as surfaces too."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlexp.studies.drawings.data import StudyRuns
from dlexp.studies.drawings.layout import WIDTH, Page
from dlexp.studies.drawings.specification import Drawing, Panel
from dlexp.studies.runs import Run
from dlexp.studies.scales import DECADES_SHOWN

if TYPE_CHECKING:
    import numpy
    import numpy.typing
    from matplotlib.figure import Figure

    Array = numpy.typing.NDArray[numpy.float64]

_N_LEVELS = 24
_LOG_FROM_RATIO = 10.0
_COLOUR_MAP = "viridis"  # its lightness rises evenly: it reads in grey
_MANY_DECADES = 3
_NARROW = 5.4  # inches of a page with one square panel
_DIRECTIONS = ("first direction", "second direction")


@dataclass(frozen=True)
class Plane:
    """Values (m, k) of one run, at coordinates along the first (m,) and the second direction (k,).

    Without coordinates rows and columns are numbered, from 0, and drawn as a matrix is written.
    """

    panel: Panel
    run: Run
    values: "Array"
    coordinates: "Array | None"
    trajectory: "Array | None"


def draw_surfaces(drawing: Drawing, study: StudyRuns) -> "Figure | None":
    """Draw a figure of kind ``surfaces``; None if there is nothing to draw yet."""
    found = [(panel, _plane(study, panel)) for panel in drawing.panels]
    planes = [plane for _, plane in found if plane]
    if not planes:
        return None
    is_matrix = any(plane.coordinates is None for plane in planes)
    wanted = drawing.scale or ("linear" if is_matrix else None)
    levels, is_log = shared_levels([plane.values for plane in planes], wanted)
    n = len(planes)
    beside = range(n, 2 * n if drawing.three_d else n)
    page = Page(n + len(beside), (4.2, 3.1), spatial=beside, width=WIDTH if n + len(beside) > 1 else _NARROW)
    for axes, plane in zip(page.panels, planes, strict=False):
        image = draw_plane(axes, plane, levels, is_log=is_log)
    bar = page.figure.colorbar(image, ax=page.panels[:n], label=drawing.value_label)
    ticks = _log_ticks(levels) if is_log else []
    if ticks:
        bar.ax.set_yticks(ticks, [f"{tick:.4g}" for tick in ticks])
        bar.ax.minorticks_off()
    for i, plane in zip(beside, planes, strict=False):
        _draw_surface(page.panels[i], plane, levels, ticks)
        page.panels[i].set_title(f"height: {drawing.value_label}", fontsize=9, y=1.0)
    seeds = sorted({plane.run.seed for plane in planes if plane.run.seed is not None})
    if seeds:
        page.note(f"Seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}.")
    page.note_missing([panel.title or panel.values for panel, plane in found if plane is None], study)
    handles, labels = page.panels[n - 1].get_legend_handles_labels()
    page.finish(drawing.title, [dict(zip(labels, handles, strict=True))])
    return page.figure


def shared_levels(values: Sequence["Array"], wanted: str | None) -> tuple["Array", bool]:
    """Return the levels that show all finite values, and whether they are logarithmic.

    They are where the values are positive and differ by more than a factor of 10 (or where log is `wanted`),
    over at most ``DECADES_SHOWN`` decades below the highest.
    """
    import numpy

    finite = numpy.concatenate([array[numpy.isfinite(array)] for array in values])
    low, high = float(finite.min()), float(finite.max())
    spans = low > 0 and high > _LOG_FROM_RATIO * low
    if high > 0 and (spans if wanted is None else wanted == "log"):
        lowest = float(finite[finite > 0].min())
        lowest = max(lowest if lowest < high else high / 10, high * 10.0**-DECADES_SHOWN)
        return numpy.geomspace(lowest, high, _N_LEVELS), True
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300):  # a flat surface still needs levels apart
        low, high = low - 0.5 * abs(low) - 1e-9, high + 0.5 * abs(high) + 1e-9
    return numpy.linspace(low, high, _N_LEVELS), False


def draw_plane(axes: Any, plane: Plane, levels: "Array", *, is_log: bool) -> Any:
    """Draw a plane as filled contours, or a matrix as an image; return what a colour bar is made for."""
    from matplotlib.colors import LogNorm, Normalize

    norm = (LogNorm if is_log else Normalize)(levels[0], levels[-1])
    at, shown = plane.coordinates, _shown(plane, levels)
    if at is None:
        image = axes.imshow(shown, norm=norm, cmap=_COLOUR_MAP)
    else:
        image = axes.contourf(at, at, shown.T, levels=levels, norm=norm, cmap=_COLOUR_MAP)
        axes.contour(at, at, shown.T, levels=levels[::3], colors="white", linewidths=0.4, alpha=0.7)
    names = ("column", "row") if at is None else _DIRECTIONS
    axes.set(xlabel=plane.panel.x_label or names[0], ylabel=plane.panel.y_label or names[1], aspect="equal")
    axes.set_title(plane.panel.title)
    axes.grid(visible=False)
    axes.locator_params(nbins=6)
    if plane.trajectory is not None:
        _draw_trajectory(axes, plane.trajectory)
    return image


def _plane(study: StudyRuns, panel: Panel) -> Plane | None:
    """Return the plane of the first seed's run that kept one."""
    import numpy

    runs = sorted(study.select(panel.where), key=lambda run: (run.seed is None, run.seed or 0, run.run_id))
    for run in runs:
        values = study.array(run, panel.values)
        at = study.array(run, panel.coordinates) if panel.coordinates else None
        if values is None or values.ndim != 2 or not numpy.isfinite(values).any():
            continue
        if panel.coordinates and (at is None or values.shape != (len(at), len(at))):
            continue
        trajectory = study.array(run, panel.trajectory) if panel.trajectory else None
        if trajectory is not None and (trajectory.ndim != 2 or trajectory.shape[1] != 2):
            trajectory = None
        return Plane(panel, run, values, at, trajectory)
    return None


def _shown(plane: Plane, levels: "Array") -> "Array":
    """Return values with those beyond the levels, of the lowest decades or not finite, at the outermost."""
    import numpy

    return numpy.clip(numpy.nan_to_num(plane.values, nan=numpy.inf), levels[0], levels[-1])


def _draw_surface(axes: Any, plane: Plane, levels: "Array", log_ticks: Sequence[float]) -> None:
    import numpy

    height = numpy.log10 if log_ticks else numpy.asarray
    low, high = height(levels[0]), height(levels[-1])
    at = numpy.arange(len(plane.values)) if plane.coordinates is None else plane.coordinates
    first, second = numpy.meshgrid(at, at, indexing="ij")
    axes.plot_surface(
        first,
        second,
        height(_shown(plane, levels)),
        cmap=_COLOUR_MAP,
        vmin=low,
        vmax=high,
        rcount=len(at),
        ccount=len(at),
        edgecolor="black",
        linewidth=0.1,
    )
    axes.set_box_aspect((1, 1, 0.75), zoom=1.05)
    axes.set_zlim(low, high)
    axes.set_xlabel(plane.panel.x_label or _DIRECTIONS[0], fontsize=9, labelpad=0)
    axes.set_ylabel(plane.panel.y_label or _DIRECTIONS[1], fontsize=9, labelpad=0)
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=8, pad=0)
    axes.tick_params(axis="z", pad=3)
    if log_ticks:
        axes.set_zticks(numpy.log10(log_ticks), [f"{tick:.4g}" for tick in log_ticks])


def _draw_trajectory(axes: Any, trajectory: "Array") -> None:
    axes.plot(*trajectory.T, "-", color="white", linewidth=3.2)
    axes.plot(*trajectory.T, ".-", color="black", linewidth=1.2, markersize=5, label="networks measured")
    axes.plot(*trajectory[0], "s", color="white", markeredgecolor="black", linewidth=0, label="first")
    star = {"color": "white", "markeredgecolor": "black", "markersize": 13, "linewidth": 0}
    axes.plot(*trajectory[-1], "*", label="last", **star)


def _log_ticks(levels: "Array") -> list[float]:
    """Return 1, 2 and 5 of each decade between the levels, or the decades alone where there are many."""
    first, last = math.floor(math.log10(levels[0])), math.ceil(math.log10(levels[-1]))
    digits = (1, 2, 5) if last - first < _MANY_DECADES else (1,)
    ticks = [digit * 10.0**exponent for exponent in range(first, last + 1) for digit in digits]
    return [tick for tick in ticks if levels[0] <= tick <= levels[-1]]
