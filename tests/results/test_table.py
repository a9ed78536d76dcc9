"""The table that figures and statistics read: selecting, grouping, curves and arrays."""

import math

import numpy as np
import pytest

from dlexp.estimate import estimate
from dlexp.records.run import DIVERGED, write_arrays, write_metrics
from dlexp.results.table import Table, TableError

WIDTHS = (1, 5, 50)


@pytest.fixture
def table(curve):
    """Two arms of three widths and two seeds."""
    return Table(
        (
            *curve([[0.3, 1.5, 0.4], [0.5, 1.7, 0.2]], WIDTHS, arm="noisy"),
            *curve([[0.3, 0.2, 0.1], [0.3, 0.2, 0.1]], WIDTHS, arm="clean"),
        )
    )


def test_a_group_is_a_point_for_each_value_with_the_reports_interval(table):
    points = table.select(arm="noisy").group("model.width", "test/loss")
    assert [point.x for point in points] == list(WIDTHS)
    assert [point.values for point in points] == [(0.3, 0.5), (1.5, 1.7), (0.4, 0.2)]
    for point in points:
        found = estimate(point.values)
        assert (point.mean, point.low, point.high) == (found.mean, found.low, found.high)


def test_along_a_metric_a_point_stands_at_its_mean(table):
    points = table.select(arm="clean").group("model/parameters", "test/loss")
    assert [(point.x, point.mean) for point in points] == [(22, 0.3), (110, 0.2), (1100, 0.1)]


def test_settings_are_never_pooled(table):
    with pytest.raises(
        TableError, match=r"^Runs with one model\.width also differ in arm: select one of each\.$"
    ):
        table.group("model.width", "test/loss")


def test_what_no_run_has_is_said(table):
    for what, sentence in (
        (lambda: table.group("model.width", "test/los"), "No run has the metric test/los."),
        (lambda: table.select(arms="noisy"), "No run has the setting arms."),
        (lambda: table.column("model.widht"), "No run has the setting or metric model.widht."),
        (lambda: table.group("optimizer.name", "test/loss"), "optimizer.name is not a finite number in run "),
        (lambda: table.select({"data.seed": 1}), "data.seed=1 is not allowed: seeds are never selected."),
    ):
        with pytest.raises(TableError) as error:
            what()
        assert str(error.value).startswith(sentence)


def test_selecting_may_leave_nothing(table):
    nothing = table.select({"model.width": 7})
    assert nothing.rows == ()
    assert nothing.group("model.width", "test/loss") == []
    assert len(table.select({"model.width": [1, 50]}, arm="noisy").rows) == 4
    assert table.select(callback=None).rows == table.rows


def test_what_is_missing_is_known_and_enters_no_mean(table, run):
    diverged = run(2, {"test/loss": 99.0}, status=DIVERGED, model__width=1, arm="noisy")
    lost = run(3, {"test/loss": math.inf}, model__width=1, arm="noisy")
    wider = Table((*table.rows, diverged, lost))
    assert wider.missing == (diverged,)
    assert wider.done.rows == (*table.rows, lost)
    assert wider.select(arm="noisy").group("model.width", "test/loss")[0].values == (0.3, 0.5)


def test_full_batch_stands_at_the_number_of_samples(run):
    sizes = ("full", 10, 4)
    table = Table(tuple(run(0, {"x": 1.0}, data__batch_size=size, data__n_train=100) for size in sizes))
    assert [point.x for point in table.group("data.batch_size", "x")] == [4, 10, 100]


def test_histories_and_arrays_are_read_from_the_runs_folders(tmp_path, run):
    rows = []
    for seed in range(2):
        folder = tmp_path / f"seed={seed}"
        made = run(seed, {"test/loss": 1.0})
        made.write(folder)
        write_metrics(
            folder, [(0, 0, "test/loss", 2.0 + seed), (0, 0, "x", 1.0), (5, 1, "test/loss", math.inf)]
        )
        write_arrays(folder, {"spectrum": np.arange(3) + seed})
        rows.append(folder.name)
    table = Table.read(tmp_path)
    assert table.histories("test/loss") == [([0, 5], [2.0 + seed, math.inf]) for seed in range(2)]
    assert table.histories("nothing") == []
    assert {name: array.tolist() for name, array in table.arrays("spectrum").items()} == {
        rows[0]: [0, 1, 2],
        rows[1]: [1, 2, 3],
    }
    assert table.arrays("nothing") == {}
    assert table.runs["run_id"].tolist() == rows
    assert table.column("test/loss") == [1.0, 1.0]
