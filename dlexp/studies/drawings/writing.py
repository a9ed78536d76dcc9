"""Figures to files: `write_drawings`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlexp.studies.drawings.curves import draw_curves
from dlexp.studies.drawings.data import Study
from dlexp.studies.drawings.specification import Drawing
from dlexp.studies.runs import Run
from dlexp.studies.style import look, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KINDS: Mapping[str, Callable[[Drawing, Study], "Figure | None"]] = {
    "curves": draw_curves,
    "paths": draw_curves,
}


def write_drawings(drawings: Sequence[Drawing], runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write ``<name>.png`` and ``.svg`` of each drawing; return the PNG files' paths.

    Runs that did not end well are left out, and counted in a note. A drawing that has no runs yet is skipped;
    lines without runs are named in a note.
    """
    study = Study(runs)
    written = []
    with look():
        for drawing in drawings:
            figure = draw(drawing, study)
            if figure is not None:
                written.append(save(figure, folder / drawing.name)[0])
    return written


def draw(drawing: Drawing, study: Study) -> "Figure | None":
    """Draw a figure inside `look()`; None if there is nothing to draw yet."""
    study.begin()
    return _KINDS[drawing.kind](drawing, study)
