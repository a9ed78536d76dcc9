import itertools
import math

import numpy
import pandas
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from dlexp.estimate import estimate
from dlexp.records.folders import read_runs
from dlexp.report.tables import COUNTS, csv_text, runs_rows, summary_rows, summary_table
from dlexp.results.summary import summarize


def test_interval_of_one_to_five_by_hand():
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (found.n, found.mean) == (5, 3.0)
    assert found.sd == pytest.approx(math.sqrt(2.5))
    # t(0.975, 4) = 2.776445 from the tables, times sqrt(2.5 / 5)
    assert found.low == pytest.approx(3 - 1.963243, abs=1e-6)
    assert found.high == pytest.approx(3 + 1.963243, abs=1e-6)
    assert found.half_width == pytest.approx(1.963243, abs=1e-6)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12).filter(lambda v: numpy.std(v) > 1e-6))
def test_interval_agrees_with_scipy(values):
    found = estimate(values)
    expected = scipy.stats.t.interval(
        0.95, len(values) - 1, loc=numpy.mean(values), scale=scipy.stats.sem(values)
    )
    assert found.sd == pytest.approx(numpy.std(values, ddof=1), rel=1e-9)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_one_replicate_has_no_interval_and_huge_ones_do_not_overflow():
    one = estimate([0.25])
    assert (one.n, one.mean) == (1, 0.25)
    assert all(map(math.isnan, (one.sd, one.low, one.high)))
    assert math.isnan(estimate([]).mean)
    huge = estimate([1e300, 3e300])
    assert huge.mean == pytest.approx(2e300)
    assert huge.sd == pytest.approx(math.sqrt(2) * 1e300)
    assert estimate([0.0, 0.0]).half_width == 0.0


def test_seeds_are_merged_and_settings_kept_apart_in_numerical_order(tmp_path, write_run):
    for width in (200, 50, 5, 1000):
        for seed in range(3):
            write_run(tmp_path, {"model.width": width}, {"test/loss": width + seed}, seed=seed)
    # a seed of the data alone is a replicate as well
    write_run(tmp_path, {"model.width": 5, "data.order_seed": 9}, {"test/loss": 8.0}, seed=3)
    summary = summarize(read_runs(tmp_path))
    assert summary.keys == summary.swept == ("model.width",)
    table = summary_table(summary)
    assert table["model.width"].tolist() == [5, 50, 200, 1000]
    assert table["n"].tolist() == [4, 3, 3, 3]
    assert table["test/loss_mean"].tolist() == pytest.approx([6.5, 51.0, 201.0, 1001.0])
    assert table["test/loss_sd"].tolist() == pytest.approx([numpy.std([5, 6, 7, 8], ddof=1), 1, 1, 1])
    assert list(table.columns) == [
        "model.width",
        "n",
        "n_failed",
        *(f"test/loss_{part}" for part in ("mean", "sd", "low", "high", "n")),
    ]


def test_runs_that_did_not_end_well_are_counted_and_never_averaged(tmp_path, write_run):
    write_run(tmp_path, {"model.width": 5}, {"test/loss": 1.0}, seed=0)
    write_run(tmp_path, {"model.width": 5}, {"test/loss": 3.0}, seed=1)
    write_run(tmp_path, {"model.width": 5}, {"test/loss": 1e9}, seed=2, status="diverged", error="not finite")
    write_run(tmp_path, {"model.width": 5}, {}, seed=3, status="failed", error="RuntimeError: no")
    write_run(tmp_path, {"model.width": 50}, {"test/loss": None}, seed=0)
    hydra = tmp_path / "width=5,seed=4-0123abcd" / ".hydra"
    hydra.mkdir(parents=True)
    (hydra / "config.yaml").write_text("seed: 4\nmodel: {width: 5}\n")
    (hydra / "overrides.yaml").write_text("[model.width=5, seed=4]\n")
    corrupt = write_run(tmp_path, {"model.width": 5}, {}, seed=5)
    (corrupt / "result.json").write_text("{")
    table = summary_table(summarize(read_runs(tmp_path)))
    assert table["model.width"].tolist() == [5, 50]
    assert table["n"].tolist() == [2, 1]
    assert table["n_failed"].tolist() == [3, 0]  # of the corrupt one nothing is known
    assert table["test/loss_mean"][0] == 2.0
    assert table["test/loss_n"].tolist() == [2, 0]
    assert math.isnan(table["test/loss_mean"][1])


def test_a_swept_key_is_known_before_a_second_value_has_finished(tmp_path, write_run):
    write_run(tmp_path, {"model.width": 5}, {"test/loss": 1.0})
    hydra = tmp_path / "width=50,seed=0-0123abcd" / ".hydra"
    hydra.mkdir(parents=True)
    # not resolved here: the loss; written by Hydra as text: nothing else differs that was asked for
    (hydra / "config.yaml").write_text(
        "seed: 0\nmodel: {width: 50}\ntraining: {loss: '${loss_for_task:x}'}\n"
    )
    (hydra / "overrides.yaml").write_text("[model.width=50, seed=0]\n")
    table = summary_table(summarize(read_runs(tmp_path)))
    assert table["model.width"].tolist() == [5, 50]
    assert table["n"].tolist() == [1, 0]
    assert table["n_failed"].tolist() == [0, 1]


def test_an_exchanged_group_is_shown_by_one_key_and_summarised_by_all(tmp_path, write_run):
    for group, depth in (("two_layer", 1), ("deep", 5)):
        settings = {"model.depth": depth, "model.activation": {1: "relu", 5: "tanh"}[depth]}
        for lr in (0.1, 0.01):
            typed = {"model": group, "optimizer.lr": lr}
            write_run(tmp_path, {**settings, "optimizer.lr": lr}, {"test/loss": 1.0}, overrides=typed)
    summary = summarize(read_runs(tmp_path))
    assert set(summary.keys) == {"model.depth", "model.activation", "optimizer.lr"}
    assert set(summary.swept) == {"model.depth", "optimizer.lr"}
    assert len(summary.settings) == 4


def test_what_does_not_affect_a_result_is_no_setting(tmp_path, write_run):
    write_run(tmp_path, {"name": "a", "rerun": True, "logger.flush": 1}, {"test/loss": 1.0}, seed=0)
    write_run(tmp_path, {"name": "b"}, {"test/loss": 2.0}, seed=1)
    summary = summarize(read_runs(tmp_path))
    assert summary.keys == ()
    assert summary_table(summary)["n"].tolist() == [2]


def test_the_table_of_runs_holds_what_varies_and_every_run(tmp_path, write_run):
    write_run(tmp_path, {"model.width": 50}, {"test/loss": 2.0}, seed=1)
    write_run(tmp_path, {"model.width": 50}, {"test/loss": 1.0}, seed=0)
    write_run(tmp_path, {"model.width": 5}, {}, status="failed", error="RuntimeError: no")
    (tmp_path / "width=7,seed=0-0123abcd").mkdir()
    rows = runs_rows(summarize(read_runs(tmp_path)))
    table = pandas.DataFrame(rows, dtype=object)
    assert csv_text(rows) == table.to_csv(index=False)
    assert list(table.columns) == ["run_id", "status", "seed", "model.width", "test/loss", "error"]
    assert table["model.width"].tolist() == [5, 50, 50, None]
    assert table["seed"].tolist() == [0, 0, 1, None]
    assert table["error"].tolist()[0] == "RuntimeError: no"
    assert table["status"].tolist()[3] == "running or interrupted"


def test_a_seed_set_apart_is_shown_in_the_table_of_runs_only(tmp_path, write_run):
    for seed in range(2):
        write_run(tmp_path, {"data.seed": 7}, {"test/loss": 1.0 + seed}, seed=seed)
    summary = summarize(read_runs(tmp_path))
    assert summary.keys == ()
    assert [row["data.seed"] for row in runs_rows(summary)] == [7, 7]


def test_tables_on_disk_are_as_pandas_writes_them(tmp_path, write_run):
    values = [1e-17, 0.1 + 0.2, 1e300, math.inf, math.nan, 3.0]
    for seed, value in enumerate(values):
        config = {"model.width": 5, "data.batch_size": "full" if seed % 2 else 10, "note": 'a "b", c\nd'}
        write_run(tmp_path, {**config, "data.noise": None if seed else 0.5}, {"test/loss": value}, seed=seed)
    summary = summarize(read_runs(tmp_path))
    for rows in (summary_rows(summary), runs_rows(summary)):
        assert len(rows) >= 3
        assert csv_text(rows) == pandas.DataFrame(rows, dtype=object).to_csv(index=False)
    assert csv_text([], COUNTS) == "n,n_failed\n"


def test_crossed_seeds_have_the_interval_of_their_levels(tmp_path, write_run):
    """Where the data alone decide, training each data set five times says no more than training it once."""
    losses = (1.0, 1.4, 0.8, 1.1, 1.3)
    for data, loss in enumerate(losses):
        for model in range(5):
            write_run(tmp_path, {"data.seed": data, "model.seed": model}, {"test/loss": loss})
    (setting,) = summarize(read_runs(tmp_path)).settings
    found, alone = setting.estimate("test/loss"), estimate(losses)
    assert found.n == 25
    assert found.mean == pytest.approx(alone.mean)
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high))


def test_of_two_crossed_seeds_both_count(tmp_path, write_run):
    """The variance of the mean is the sum of what the rows and what the columns give it."""
    first, second = (1.0, 1.4, 0.8, 1.1, 1.3), (0.2, 0.9, 0.1, 0.4, 0.3)
    for data, model in itertools.product(range(5), range(5)):
        seeds = {"data.seed": data, "model.seed": model}
        write_run(tmp_path, seeds, {"test/loss": first[data] + second[model]})
    (setting,) = summarize(read_runs(tmp_path)).settings
    halves = [estimate(effects).half_width for effects in (first, second)]
    assert setting.estimate("test/loss").half_width == pytest.approx(math.hypot(*halves))


def test_crossed_seeds_without_some_combination_have_no_interval(tmp_path, write_run):
    for data, model in ((0, 0), (0, 1), (1, 0)):
        write_run(tmp_path, {"data.seed": data, "model.seed": model}, {"test/loss": 1.0})
    (setting,) = summarize(read_runs(tmp_path)).settings
    assert setting.estimate("test/loss").mean == 1
    assert math.isnan(setting.estimate("test/loss").low)
