import math
from collections.abc import Callable
from pathlib import Path

import pytest

from dlexp.studies.charts import charts, thresholds
from dlexp.studies.runs import read_runs
from dlexp.studies.scales import crossing, horizontal_scale, vertical_scale
from dlexp.results.summary import summarize

WriteRun = Callable[..., Path]
Metrics = Callable[..., dict[str, float]]


@pytest.mark.parametrize(
    ("values", "kind", "floor"),
    [
        ([0.3, 1.5], "linear", 0.0),
        ([0.0, 0.0], "linear", 0.0),
        ([-1.0, 100.0], "linear", -math.inf),
        ([0.01, 1.5], "log", -math.inf),
        ([2e-14, 0.2], "log", 1e-8),  # eight decades below the power of ten above the largest
        ([2e-14, 2e-12], "log", -math.inf),
        ([0.0, 1e-3, 1.0], "log", 1e-4),  # zeros lie below the smallest
    ],
)
def test_vertical_scale(values: list[float], kind: str, floor: float) -> None:
    scale = vertical_scale(values)
    assert scale.kind == kind
    assert scale.floor == pytest.approx(floor)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 5, 50, 200], "log"),
        ([1, 2, 3], "linear"),
        ([0, 1e-4, 1e-3, 1e-1], "symlog"),
        ([0, 0.5], "linear"),
        ([-1, 1000], "linear"),
    ],
)
def test_horizontal_scale(values: list[float], kind: str) -> None:
    assert horizontal_scale(values).kind == kind


def test_crossing_is_exact_for_what_is_straight_on_the_axis() -> None:
    widths = [1, 2, 5, 50]
    assert crossing(widths, [22 * w + 1 - 100 for w in widths], logarithmic=False) == pytest.approx([4.5])
    power_law = [math.log(w**2 / 100) for w in widths]
    assert crossing(widths, power_law, logarithmic=True) == pytest.approx([10.0])
    assert crossing([1, 2, 3], [-1, 0, 1], logarithmic=True) == pytest.approx([2.0])
    assert crossing([1, 2, 3], [-1, 1, -1], logarithmic=False) == pytest.approx([1.5, 2.5])
    assert crossing([1, 2], [1, 2], logarithmic=False) == []


def threshold_of(sweep: Path, *, logarithmic: bool) -> list[float]:
    (chart,) = charts(summarize(read_runs(sweep)))
    (line,) = chart.lines
    return thresholds(line, logarithmic=logarithmic)


def test_threshold_is_where_parameters_equal_samples_times_outputs(
    tmp_path: Path, run: WriteRun, metrics: Metrics
) -> None:
    for width in (1, 2, 5, 50):
        for seed in range(2):
            run(tmp_path / "one", {"model.width": width}, metrics(1.0, width=width), seed=seed)
            settings = {"model.width": width, "data.output_dim": 3}
            run(tmp_path / "three", settings, metrics(1.0, width=width), seed=seed)
    assert threshold_of(tmp_path / "one", logarithmic=False) == pytest.approx([99 / 22])
    assert threshold_of(tmp_path / "three", logarithmic=False) == pytest.approx([299 / 22])
    # on the log axis between 2 and 5, not far from the straight one
    assert threshold_of(tmp_path / "one", logarithmic=True) == pytest.approx([4.5], rel=0.01)


def test_threshold_of_a_sweep_over_samples(tmp_path: Path, run: WriteRun, metrics: Metrics) -> None:
    for n in (50, 100, 200):
        run(tmp_path, {"data.n_train": n}, metrics(1.0, width=5))
    assert threshold_of(tmp_path, logarithmic=False) == pytest.approx([111])


def test_no_threshold_where_parameters_are_not_known_or_all_on_one_side(
    tmp_path: Path, run: WriteRun, metrics: Metrics
) -> None:
    for width in (50, 100):
        run(tmp_path / "wide", {"model.width": width}, metrics(1.0, width=width))
        run(tmp_path / "unknown", {"model.width": width}, metrics(1.0))
    assert threshold_of(tmp_path / "wide", logarithmic=False) == []
    assert threshold_of(tmp_path / "unknown", logarithmic=False) == []


def test_a_line_for_each_combination_of_the_other_keys(
    tmp_path: Path, run: WriteRun, metrics: Metrics
) -> None:
    for width in (5, 50, 7):
        for lr in (0.1, 0.01):
            run(tmp_path, {"model.width": width, "optimizer.lr": lr}, metrics(1.0))
    run(tmp_path, {"model.width": 5, "optimizer.lr": 0.5}, metrics(1.0))  # no line of its own against width
    by_key = {chart.key: chart for chart in charts(summarize(read_runs(tmp_path)))}
    assert set(by_key) == {"model.width", "optimizer.lr"}
    against_width = by_key["model.width"]
    assert against_width.legend_title == "learning rate"
    assert [line.label for line in against_width.lines] == ["0.01", "0.1"]
    assert against_width.lines[0].positions == (5, 7, 50)
    assert against_width.notes == ("1 setting measured at one value only left out.",)
    assert [line.positions for line in by_key["optimizer.lr"].lines] == [
        (0.01, 0.1, 0.5),
        (0.01, 0.1),
        (0.01, 0.1),
    ]


def test_many_lines_are_spread_over_columns(tmp_path: Path, run: WriteRun, metrics: Metrics) -> None:
    for width in (5, 50):
        for lr in (0.1, 0.01, 0.001, 1e-4):
            for noise in (0.0, 0.5):
                settings = {"model.width": width, "optimizer.lr": lr, "data.noise": noise}
                run(tmp_path, settings, metrics(1.0))
    by_key = {chart.key: chart for chart in charts(summarize(read_runs(tmp_path)))}
    columns = by_key["model.width"].columns
    assert [column.title for column in columns] == ["noise 0", "noise 0.5"]
    assert [line.label for line in columns[1].lines] == ["0.0001", "0.001", "0.01", "0.1"]


def test_values_that_are_no_numbers_have_a_chart_when_nothing_else_varies(
    tmp_path: Path, run: WriteRun, metrics: Metrics
) -> None:
    for activation in ("tanh", "relu"):
        run(tmp_path / "a", {"model.activation": activation}, metrics(1.0))
        for width in (5, 50):
            run(tmp_path / "b", {"model.activation": activation, "model.width": width}, metrics(1.0))
    (chart,) = charts(summarize(read_runs(tmp_path / "a")))
    assert (chart.key, chart.categories) == ("model.activation", ("relu", "tanh"))
    (chart,) = charts(summarize(read_runs(tmp_path / "b")))
    assert [line.label for line in chart.lines] == ["relu", "tanh"]


def test_full_batch_is_drawn_at_the_number_of_samples(
    tmp_path: Path, run: WriteRun, metrics: Metrics
) -> None:
    for size in ("full", 10, 4):
        run(tmp_path, {"data.batch_size": size}, metrics(1.0))
    (chart,) = charts(summarize(read_runs(tmp_path)))
    assert chart.lines[0].positions == (4, 10, 100)


def test_nothing_swept_or_nothing_finished_has_no_chart(
    tmp_path: Path, run: WriteRun, metrics: Metrics
) -> None:
    run(tmp_path / "seeds", {}, metrics(1.0), seed=0)
    run(tmp_path / "seeds", {}, metrics(1.0), seed=1)
    for width in (1, 2):
        run(tmp_path / "failed", {"model.width": width}, {}, status="failed")
    assert charts(summarize(read_runs(tmp_path / "seeds"))) == []
    assert charts(summarize(read_runs(tmp_path / "failed"))) == []
