from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from dlexp.studies.charts import charts
from dlexp.studies.figures import draw, write_figures
from dlexp.studies.runs import read_runs
from dlexp.studies.style import COLOURS, look
from dlexp.results.summary import summarize

WriteRun = Callable[..., Path]
Metrics = Callable[..., dict[str, float]]


def figure_of(sweep: Path) -> Any:
    (chart,) = charts(summarize(read_runs(sweep)))
    with look():
        return draw(chart, "loss", ["test/loss", "train/loss"], sweep.name)


def texts_of(figure: Any) -> str:
    shown = [figure.get_suptitle(), figure.get_supxlabel()]
    for axes in figure.axes:
        shown += [axes.get_xlabel(), axes.get_ylabel(), axes.get_title(), *(t.get_text() for t in axes.texts)]
    return "\n".join(shown).replace("\u00a0", " ")


@pytest.mark.parametrize("seeds", [1, 5])
def test_the_main_figure_is_drawn(tmp_path: Path, double_descent: Callable[..., Path], seeds: int) -> None:
    sweep = double_descent(tmp_path / "sweep", seeds)
    (path,) = write_figures(summarize(read_runs(sweep)), "sweep", tmp_path / "figures")
    assert path.name == "loss_against_model.width.png"
    assert "<svg" in path.with_suffix(".svg").read_text()
    pixels = imread(path)[..., :3]
    assert pixels.shape[0] > 600
    assert pixels.shape[1] > 900
    assert pixels.std() > 0.05
    is_line = numpy.abs(pixels - to_rgb(COLOURS[0])).max(axis=-1) < 0.02
    assert is_line[: len(pixels) // 2].sum() > 2000  # in the upper panel
    assert is_line[len(pixels) // 2 :].sum() > 2000  # and in the lower one
    is_tinted = (pixels[..., 2] - pixels[..., 0] > 0.1) & ~is_line & (pixels.min(axis=-1) > 0.75)
    assert (is_tinted.sum() > 10_000) == (seeds > 1)  # the band
    margin = pixels[:3]
    assert (margin > 0.99).all()  # nothing is cut off at the top


def test_the_same_runs_give_the_same_files(tmp_path: Path, double_descent: Callable[..., Path]) -> None:
    summary = summarize(read_runs(double_descent(tmp_path / "sweep", 2)))
    for name in ("a", "b"):
        write_figures(summary, "sweep", tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["loss_against_model.width.png", "loss_against_model.width.svg"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_the_main_figure_shows(tmp_path: Path, double_descent: Callable[..., Path]) -> None:
    figure = figure_of(double_descent(tmp_path / "sweep", 5))
    test, train = figure.axes
    assert test.get_xscale() == train.get_xscale() == "log"
    assert [label.get_text() for label in train.get_xticklabels()] == ["1", "2", "5", "50", "200"]
    assert test.get_yscale() == "linear"
    assert test.get_ylim()[0] == 0
    assert train.get_yscale() == "log"
    assert 1e-9 < train.get_ylim()[0] < 1e-8  # not the 2e-14 of the interpolating networks
    text = texts_of(figure)
    assert "sweep: loss against width, mean and 95 % interval over 5 seeds" in text
    assert "width (hidden units per layer)" in text
    assert "▼ training loss below 1e-8." in text
    assert "parameters = samples" in text
    for axes in (test, train):
        vertical = [
            line for line in axes.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2
        ]
        assert [line.get_xdata()[0] for line in vertical] == pytest.approx([4.5], rel=0.01)
    (mean,) = (line for line in test.lines if list(line.get_xdata()) == [1, 2, 5, 50, 200])
    table = summarize(read_runs(tmp_path / "sweep"))
    assert list(mean.get_ydata()) == pytest.approx([s.estimate("test/loss").mean for s in table.settings])
    (band,) = test.collections
    corners = band.get_paths()[0].vertices
    for setting in table.settings:
        found = setting.estimate("test/loss")
        here = corners[corners[:, 0] == setting.values["model.width"], 1]
        assert here.min() == pytest.approx(found.low)
        assert here.max() == pytest.approx(found.high)


def test_one_seed_and_outputs_and_failures_are_named(tmp_path: Path, run: WriteRun, metrics: Metrics) -> None:
    for width in (1, 2, 5, 50):
        run(tmp_path / "x$y$", {"model.width": width, "data.output_dim": 2}, metrics(1.0, width=width))
    run(tmp_path / "x$y$", {"model.width": 50, "data.output_dim": 2}, {}, seed=1, status="failed")
    text = texts_of(figure_of(tmp_path / "x$y$"))
    assert "x$y$: loss against width, one seed" in text
    assert "parameters = samples × outputs" in text
    assert "1 run failed or unfinished, left out." in text
    assert "interval" not in text


def test_awkward_values_are_drawn_without_a_warning(tmp_path: Path, run: WriteRun, metrics: Metrics) -> None:
    for i, decay in enumerate((0, 1e-4, 1e-2, 1.0)):
        for seed in range(3):
            loss = (0.0, -1.0, 5e3, 1e-300)[i]
            run(tmp_path / "a", {"optimizer.weight_decay": decay}, metrics(loss, 0.0), seed=seed)
            run(tmp_path / "b", {"optimizer.weight_decay": decay}, metrics(abs(loss), 1e-9 * seed), seed=seed)
    run(tmp_path / "b", {"optimizer.weight_decay": 2.0}, {"test/loss": None, "train/loss": 1e300})
    for name in ("a", "b"):
        (path,) = write_figures(summarize(read_runs(tmp_path / name)), name, tmp_path / name)
        assert imread(path).std() > 0.05


def test_many_lines_stay_a_figure(tmp_path: Path, run: WriteRun, metrics: Metrics) -> None:
    for width in (1, 10, 100):
        for rate in range(9):
            settings = {"model.width": width, "optimizer.lr": 2.0**-rate}
            run(tmp_path, settings, metrics(1.0 + rate, width=width))
    against_width, against_rate = charts(summarize(read_runs(tmp_path)))
    with look():
        figure = draw(against_width, "loss", ["test/loss"], "many")
        draw(against_rate, "loss", ["test/loss"], "many")
    (legend,) = figure.legends
    assert legend.get_title().get_text() == "learning rate"
    assert [text.get_text() for text in legend.get_texts()] == ["0.003906", "0.01562", "0.0625", "0.25", "1"]


def test_classification_has_a_figure_of_its_errors(tmp_path: Path, run: WriteRun) -> None:
    for width in (1, 2):
        values = {"train/loss": 0.1, "test/loss": 0.2, "train/error": 0.0, "test/error": 0.1 * width}
        run(tmp_path, {"model.width": width}, values)
    paths = write_figures(summarize(read_runs(tmp_path)), "digits", tmp_path)
    assert [path.name for path in paths] == ["loss_against_model.width.png", "error_against_model.width.png"]


def test_intervals_wider_than_the_runs_by_far_do_not_take_the_axis(
    tmp_path: Path, run: WriteRun, metrics: Metrics
) -> None:
    for width in (1, 2):
        for seed in range(2):  # t(0.975, 1) = 12.7
            run(tmp_path, {"model.width": width}, metrics(1.0 + 0.3 * seed), seed=seed)
    figure = figure_of(tmp_path)
    bottom, top = figure.axes[0].get_ylim()
    assert 0 < bottom < 1.0
    assert 1.3 < top < 2
    assert "Where a band leaves its panel the interval reaches farther." in texts_of(figure)
