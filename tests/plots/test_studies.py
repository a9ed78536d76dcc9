"""The figures of the studies: drawn of any part of their runs, of what the table says and nothing else."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from dlexp.plots.style import BLACK
from dlexp.report.figures import draw
from dlexp.results.table import Table

STUDIES = sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / "study").glob("*.yaml"))


def figures_of(name: str) -> list[Any]:
    return list(importlib.import_module(f"dlexp.studies.{name}").FIGURES)


@pytest.mark.parametrize("name", STUDIES)
def test_figures_without_a_run_say_so(name):
    for figure in figures_of(name):
        page = draw(figure, Table(()))
        for axes in page.axes:
            drawn = [line for line in axes.lines if len(line.get_xdata()) and line.get_color() != BLACK]
            assert all(str(line.get_label()).startswith("_") for line in drawn)
            assert "no values yet" in [text.get_text() for text in axes.texts] or len(axes.lines) > len(drawn)


def test_names_are_the_files_and_differ():
    for name in STUDIES:
        names = [figure.name for figure in figures_of(name)]
        assert len(set(names)) == len(names) > 0
        assert all(figure.title and figure.caption.endswith(".") for figure in figures_of(name))
