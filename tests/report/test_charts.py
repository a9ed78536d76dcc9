"""How a sweep is laid out against its settings: which make a line, which a panel, which a category."""

from dlexp.records.folders import read_runs
from dlexp.report.charts import Line, charts
from dlexp.results.summary import summarize


def positions(line: Line) -> tuple[float, ...]:
    return tuple(x for x, _ in line.points)


def test_a_line_for_each_combination_of_the_other_keys(tmp_path, run, metrics):
    for width in (5, 50, 7):
        for lr in (0.1, 0.01):
            run(tmp_path, {"model.width": width, "optimizer.lr": lr}, metrics(1.0))
    run(tmp_path, {"model.width": 5, "optimizer.lr": 0.5}, metrics(1.0))  # no line of its own against width
    by_key = {chart.key: chart for chart in charts(summarize(read_runs(tmp_path)))}
    assert set(by_key) == {"model.width", "optimizer.lr"}
    against_width = by_key["model.width"]
    assert [line.label for line in against_width.lines] == ["0.01", "0.1"]
    assert positions(against_width.lines[0]) == (5, 7, 50)
    assert against_width.notes == ("1 setting measured at one value only left out.",)
    assert [positions(line) for line in by_key["optimizer.lr"].lines] == [
        (0.01, 0.1, 0.5),
        (0.01, 0.1),
        (0.01, 0.1),
    ]


def test_many_lines_are_spread_over_columns(tmp_path, run, metrics):
    for width in (5, 50):
        for lr in (0.1, 0.01, 0.001, 1e-4):
            for noise in (0.0, 0.5):
                settings = {"model.width": width, "optimizer.lr": lr, "data.noise": noise}
                run(tmp_path, settings, metrics(1.0))
    by_key = {chart.key: chart for chart in charts(summarize(read_runs(tmp_path)))}
    columns = by_key["model.width"].columns
    assert list(columns) == ["noise 0", "noise 0.5"]
    assert [line.label for line in columns["noise 0.5"]] == ["0.0001", "0.001", "0.01", "0.1"]


def test_values_that_are_no_numbers_have_a_chart_when_nothing_else_varies(tmp_path, run, metrics):
    for activation in ("tanh", "relu"):
        run(tmp_path / "a", {"model.activation": activation}, metrics(1.0))
        for width in (5, 50):
            run(tmp_path / "b", {"model.activation": activation, "model.width": width}, metrics(1.0))
    (chart,) = charts(summarize(read_runs(tmp_path / "a")))
    assert (chart.key, chart.categories) == ("model.activation", ("relu", "tanh"))
    (chart,) = charts(summarize(read_runs(tmp_path / "b")))
    assert [line.label for line in chart.lines] == ["relu", "tanh"]


def test_full_batch_is_drawn_at_the_number_of_samples(tmp_path, run, metrics):
    for size in ("full", 10, 4):
        run(tmp_path, {"data.batch_size": size}, metrics(1.0))
    (chart,) = charts(summarize(read_runs(tmp_path)))
    assert positions(chart.lines[0]) == (4, 10, 100)


def test_nothing_swept_or_nothing_finished_has_no_chart(tmp_path, run, metrics):
    run(tmp_path / "seeds", {}, metrics(1.0), seed=0)
    run(tmp_path / "seeds", {}, metrics(1.0), seed=1)
    for width in (1, 2):
        run(tmp_path / "failed", {"model.width": width}, {}, status="failed")
    assert charts(summarize(read_runs(tmp_path / "seeds"))) == []
    assert charts(summarize(read_runs(tmp_path / "failed"))) == []
