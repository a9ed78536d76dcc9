"""The figures of a sweep without a study, and what becomes of those that cannot be drawn."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from dlexp.plots import look
from dlexp.report.default import default_figures
from dlexp.report.figures import draw, write_figures
from dlexp.results.study import figure
from dlexp.results.table import Table


def pages_of(sweep: Path) -> list[Any]:
    table = Table.read(sweep)
    with look():
        return [draw(each, table) for each in default_figures(table, sweep.name)]


def texts_of(page: Any) -> str:
    texts = [text.get_text() for text in page.texts]
    for axes in page.axes:
        texts += [axes.get_xlabel(), axes.get_ylabel(), axes.get_title(), *(t.get_text() for t in axes.texts)]
    return "\n".join(texts).replace("\u00a0", " ")


@pytest.mark.parametrize("seeds", [1, 5])
def test_the_main_figure_is_drawn_the_same_each_time(tmp_path, double_descent, seeds):
    table = Table.read(double_descent(tmp_path / "sweep", seeds))
    for name in ("a", "b"):
        (drawn,) = write_figures(default_figures(table, "sweep"), table, tmp_path / name)
        assert drawn.problem is None
        assert imread(drawn.path)[..., :3].std() > 0.05
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["loss_against_model.width.png", "loss_against_model.width.svg"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_the_main_figure_shows(tmp_path, double_descent):
    sweep = double_descent(tmp_path / "sweep", 5)
    (page,) = pages_of(sweep)
    test, train = page.axes
    assert test.get_xscale() == train.get_xscale() == "log"
    assert (test.get_yscale(), train.get_yscale()) == ("linear", "log")
    assert "sweep: loss against width" in texts_of(page)
    assert "width (hidden units per layer)" in texts_of(page)
    assert "parameters = samples" in texts_of(page)
    (mean,) = (line for line in test.lines if list(line.get_xdata()) == [1, 2, 5, 50, 200])
    points = Table.read(sweep).group("model.width", "test/loss")
    assert list(mean.get_ydata()) == [point.mean for point in points]
    for axes in (test, train):  # where 22 width + 1 is 100
        places = [line.get_xdata() for line in axes.lines if list(line.get_ydata()) == [0, 1]]
        assert [x[0] for x in places] == pytest.approx([4.5], rel=0.01)


def test_outputs_failures_and_odd_names_are_shown(tmp_path, run, metrics):
    for width in (1, 2, 5, 50):
        run(tmp_path / "x$y$", {"model.width": width, "data.output_dim": 2}, metrics(1.0, width=width))
    run(tmp_path / "x$y$", {"model.width": 50, "data.output_dim": 2}, {}, seed=1, status="failed")
    (page,) = pages_of(tmp_path / "x$y$")
    text = texts_of(page)
    assert "parameters = samples × outputs" in text
    assert "1 run failed or unfinished, left out." in text


def test_many_lines_and_categories_stay_figures(tmp_path, run, metrics):
    for rate in range(9):
        for width in (1, 10, 100):
            settings = {"model.width": width, "optimizer.lr": 2.0**-rate}
            run(tmp_path / "many", settings, metrics(1.0 + rate, width=width))
    against_width, _ = pages_of(tmp_path / "many")
    labels = [line.get_label() for line in against_width.axes[0].lines]
    shown = [label for label in labels if not label.startswith("_")]
    assert shown == ["0.003906", "0.01562", "0.0625", "0.25", "1"]
    for activation in ("relu", "tanh"):
        run(tmp_path / "names", {"model.activation": activation}, metrics(1.0))
    (page,) = pages_of(tmp_path / "names")
    assert [label.get_text() for label in page.axes[0].get_xticklabels()] == ["relu", "tanh"]


def test_classification_has_a_figure_of_its_errors(tmp_path, run):
    for width in (1, 2):
        values = {"train/loss": 0.1, "test/loss": 0.2, "train/error": 0.0, "test/error": 0.1 * width}
        run(tmp_path, {"model.width": width}, values)
    names = [each.name for each in default_figures(Table.read(tmp_path), "digits")]
    assert names == ["loss_against_model.width", "error_against_model.width"]


def test_a_figure_that_cannot_be_drawn_takes_no_other_with_it(tmp_path, double_descent):
    @figure(title="Good", caption="It is.")
    def good(axes: Any, table: Table) -> None:
        axes.plot([1, 2], [1, 2])

    @figure(title="Absent", caption="Nothing.")
    def absent(axes: Any, table: Table) -> None:
        table.group("model.width", "ntk/drift")

    @figure(title="Broken", caption="Nothing.", panels=2)
    def broken(axes: Any, table: Table) -> None:
        axes[2].plot([1], [1])

    table = Table.read(double_descent(tmp_path / "sweep", 1))
    (tmp_path / "absent.png").write_bytes(b"of an earlier time")
    drawn = write_figures([absent, broken, good], table, tmp_path)
    assert drawn[0].problem == "No run has the metric ntk/drift."
    assert drawn[1].problem is not None
    assert drawn[1].problem.startswith("IndexError: list index out of range (test_default.py, line ")
    assert drawn[2].problem is None
    assert [path.name for path in sorted(tmp_path.glob("*.png"))] == ["good.png"]
