"""Figures to files: `write_drawings`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlexp.records.run import Run
from dlexp.studies.drawings.bars import draw_bars
from dlexp.studies.drawings.curves import draw_curves
from dlexp.studies.drawings.data import StudyRuns
from dlexp.studies.drawings.scatter import draw_scatter
from dlexp.studies.drawings.specification import Drawing
from dlexp.studies.drawings.surfaces import draw_surfaces
from dlexp.studies.style import look, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KINDS: Mapping[str, Callable[[Drawing, StudyRuns], "Figure | None"]] = {
    "curves": draw_curves,
    "paths": draw_curves,
    "scatter": draw_scatter,
    "bars": draw_bars,
    "surfaces": draw_surfaces,
}


def write_drawings(drawings: Sequence[Drawing], runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write ``<name>.png`` and ``.svg`` of each drawing; return the PNG files' paths.

    Runs that did not end well are left out, and counted in a note. A drawing that has no runs yet is skipped;
    lines without runs are named in a note.
    """
    study = StudyRuns(runs)
    written = []
    with look():
        for drawing in drawings:
            figure = draw(drawing, study)
            if figure is not None:
                written.append(save(figure, folder / drawing.name)[0])
    return written


def draw(drawing: Drawing, study: StudyRuns) -> "Figure | None":
    """Draw a figure inside `look()`; None if there is nothing to draw yet."""
    study.begin()
    return _KINDS[drawing.kind](drawing, study)
