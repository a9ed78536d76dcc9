"""The figures of the studies: drawn of any part of their runs, of what the table says and nothing else."""

import importlib
import math
from pathlib import Path
from typing import Any

import pytest

from dlexp.plots.style import BLACK
from dlexp.records.run import Run
from dlexp.report.figures import draw
from dlexp.results.table import Table

STUDIES = sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / "study").glob("*.yaml"))


def figures_of(name: str) -> list[Any]:
    return list(importlib.import_module(f"dlexp.studies.{name}").FIGURES)


def run_of(arm: str, width: int, seed: int) -> Run:
    loss = (1 + abs(math.sin(3 * seed + width))) / (1 + abs(width - 5))
    return Run(
        "done",
        f"{arm},{width},{seed}",
        seed=seed,
        config={"arm": arm, "seed": seed, "model": {"width": width}, "data": {"n_train": 100}},
        metrics={"test/loss": loss, "model/parameters": 22 * width + 1},
    )


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


def test_a_figure_shows_the_means_of_the_table():
    arms = ("width", "more_samples", "stopped_early", "no_noise")
    table = Table(tuple(run_of(arm, w, s) for arm in arms for w in (1, 2, 5, 50) for s in range(3)))
    (figure,) = [found for found in figures_of("double_descent") if found.name == "double_descent"]
    left, right = draw(figure, table).axes
    labels = {
        "100 samples": (left, "width"),
        "200 samples": (left, "more_samples"),
        "stopped after 200 steps (control)": (right, "stopped_early"),
        "no noise (control)": (right, "no_noise"),
    }
    for label, (axes, arm) in labels.items():
        (line,) = [line for line in axes.lines if line.get_label() == label]
        points = table.select(arm=arm).group("model.width", "test/loss")
        assert line.get_xydata().tolist() == [[point.x, point.mean] for point in points]
    assert left.get_ylim() == right.get_ylim()
    (place,) = {line.get_xdata()[0] for line in right.lines if line.get_label() == "_mark"}
    assert place == pytest.approx(4.5, rel=0.01)
