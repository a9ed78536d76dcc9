"""Planes of values as heat maps in one scale for a figure, with a trajectory, or as surfaces too."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlexp.records.run import Run
from dlexp.studies import planes
from dlexp.studies.drawings.data import StudyRuns
from dlexp.studies.drawings.layout import WIDTH, Page
from dlexp.studies.drawings.specification import Drawing, Panel

if TYPE_CHECKING:
    import numpy
    import numpy.typing
    from matplotlib.figure import Figure

    Array = numpy.typing.NDArray[numpy.floating]

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
    drawn = [plane for _, plane in found if plane]
    if not drawn:
        return None
    is_matrix = any(plane.coordinates is None for plane in drawn)
    wanted = drawing.scale or ("linear" if is_matrix else None)
    levels, is_log = planes.shared_levels([plane.values for plane in drawn], wanted)
    n = len(drawn)
    beside = range(n, 2 * n if drawing.three_d else n)
    page = Page(n + len(beside), (4.2, 3.1), spatial=beside, width=WIDTH if n + len(beside) > 1 else _NARROW)
    for axes, plane in zip(page.panels, drawn, strict=False):
        image = draw_plane(axes, plane, levels, is_log=is_log)
    bar = page.figure.colorbar(image, ax=page.panels[:n], label=drawing.value_label)
    ticks = planes.log_ticks(levels) if is_log else []
    if ticks:
        bar.ax.set_yticks(ticks, [f"{tick:.4g}" for tick in ticks])
        bar.ax.minorticks_off()
    for i, plane in zip(beside, drawn, strict=False):
        _draw_surface(page.panels[i], plane, levels, ticks)
        page.panels[i].set_title(f"height: {drawing.value_label}", fontsize=9, y=1.0)
    seeds = sorted({plane.run.seed for plane in drawn if plane.run.seed is not None})
    if seeds:
        page.note(f"Seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}.")
    page.note_missing([panel.title or panel.values for panel, plane in found if plane is None], study)
    handles, labels = page.panels[n - 1].get_legend_handles_labels()
    page.finish(drawing.title, [dict(zip(labels, handles, strict=True))], fixed_aspect=True)
    return page.figure


def draw_plane(axes: Any, plane: Plane, levels: "Array", *, is_log: bool) -> Any:
    """Draw a plane as filled contours, or a matrix as an image; return what a colour bar is made for."""
    from matplotlib.colors import LogNorm, Normalize

    at = plane.coordinates
    if at is None:
        norm = (LogNorm if is_log else Normalize)(levels[0], levels[-1])
        drawn = axes.imshow(planes.within(plane.values, levels), norm=norm, cmap=planes.COLOUR_MAP)
        axes.grid(visible=False)
        axes.locator_params(nbins=6)
    else:
        drawn = planes.draw_contours(axes, at, plane.values, levels, is_log=is_log)
    names = ("column", "row") if at is None else _DIRECTIONS
    axes.set(xlabel=plane.panel.x_label or names[0], ylabel=plane.panel.y_label or names[1])
    axes.set_title(plane.panel.title)
    if plane.trajectory is not None:
        planes.draw_trajectory(axes, plane.trajectory)
    return drawn


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


def _draw_surface(axes: Any, plane: Plane, levels: "Array", log_ticks: Sequence[float]) -> None:
    import numpy

    at = numpy.arange(len(plane.values), dtype=float) if plane.coordinates is None else plane.coordinates
    planes.draw_surface(axes, at, plane.values, levels, is_log=bool(log_ticks))
    axes.set_box_aspect((1, 1, 0.75), zoom=1.05)
    axes.set_xlabel(plane.panel.x_label or _DIRECTIONS[0], fontsize=9, labelpad=0)
    axes.set_ylabel(plane.panel.y_label or _DIRECTIONS[1], fontsize=9, labelpad=0)
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=8, pad=0)
    axes.tick_params(axis="z", pad=3)
    if log_ticks:
        axes.set_zticks(numpy.log10(log_ticks), [f"{tick:.4g}" for tick in log_ticks])
