"""A sweep's figures on disk: those of its study, else the losses against each swept setting."""

import logging
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlexp.report.default import default_figures
from dlexp.report.images import Drawn
from dlexp.results.study import Figure, Study
from dlexp.results.table import Table, TableError

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Page

log = logging.getLogger(__name__)


def figures_of(study: Study | None, table: Table, name: str) -> Sequence[Figure]:
    """Return a study's figures; without any, those that every sweep has."""
    return study.figures if study is not None and study.figures else default_figures(table, name)


def write_figures(figures: Sequence[Figure], table: Table, folder: Path) -> list[Drawn]:
    """Write each figure as ``<name>.png`` and ``<name>.svg``.

    One that cannot be drawn takes no other with it: a sentence says why, and no earlier file of it is left.
    """
    if not figures:
        return []
    import numpy

    from dlexp.plots import look, save

    drawn = []
    with look(), numpy.errstate(over="ignore", invalid="ignore"):  # axes of losses near the largest numbers
        for figure in figures:
            path, problem = folder / f"{figure.name}.png", None
            try:
                save(draw(figure, table), path.with_suffix(""))
            except OSError:
                raise
            except Exception as error:
                problem = _sentence(error)
                log.warning("figure %s: %s", figure.name, problem)
                for suffix in (".png", ".svg"):
                    path.with_suffix(suffix).unlink(missing_ok=True)
            drawn.append(Drawn(figure.name, figure.title, figure.caption, path, problem))
    return drawn


def draw(figure: Figure, table: Table) -> "Page":
    """Return a figure drawn of a table, inside ``dlexp.plots.look()``."""
    from dlexp.plots.page import finish, new_page

    page, panels = new_page(figure.panels, figure.size)
    figure.draw(panels[0] if figure.panels == 1 else panels, table)
    lost = len(table.missing)
    notes = [f"{lost} run{'s' if lost > 1 else ''} failed or unfinished, left out."] if lost else []
    return finish(page, figure.title, notes)


def _sentence(error: Exception) -> str:
    """Return an error as a sentence, with the place in the study's file where it is none of a table."""
    text = " ".join(str(error).split())
    if isinstance(error, TableError):
        return text
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}, line {last.lineno})."
