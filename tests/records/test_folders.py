import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import dlexp
from dlexp.records.folders import NoRunsError, read_runs
from dlexp.records.run import flatten

WriteRun = Callable[..., Path]


@pytest.fixture
def run(write_run: WriteRun) -> WriteRun:
    """Return what writes one run as a sweep leaves it."""
    return write_run


def test_a_row_holds_settings_metrics_and_what_became_of_the_run(tmp_path: Path, run: WriteRun) -> None:
    folder = run(tmp_path, {"model.width": 5}, {"test/loss": 0.2, "model/parameters": 111}, seed=3)
    table = dlexp.load_runs(tmp_path)
    assert len(table) == 1
    row = table.iloc[0]
    assert row["run_id"] == folder.name
    assert row["status"] == "done"
    assert row["seed"] == 3
    assert row["model.width"] == 5
    assert row["data.generator._target_"] == "dlexp.data.generators.linear_teacher"
    assert row["data.generator.weights"] == "[1.0, 2.0]"
    assert row["data.batch_size"] == "full"
    assert row["test/loss"] == 0.2
    assert row["model/parameters"] == 111
    assert row["duration_s"] == 1.25
    assert row["device"] == "cpu"
    assert row["error"] is None or math.isnan(row["error"])
    assert table.columns.is_unique
    assert list(table.columns[:3]) == ["run_id", "status", "seed"]
    assert list(table.columns[-3:]) == ["duration_s", "device", "error"]


@pytest.mark.parametrize(
    ("written", "read"), [({"torch": "2.13.0", "numpy": 2}, {"torch": "2.13.0", "numpy": "2"}), (None, {})]
)
def test_versions_are_texts_by_package(tmp_path: Path, run: WriteRun, written: object, read: object) -> None:
    run(tmp_path, {}, {}, versions=written)
    assert read_runs(tmp_path)[0].versions == read


def test_a_null_metric_is_nan_and_numbers_beyond_json_are_read(tmp_path: Path, run: WriteRun) -> None:
    folder = run(tmp_path, {}, {"train/loss": 1.0, "test/loss": None})
    text = (folder / "result.json").read_text().replace('"train/loss": 1.0', '"train/loss": Infinity')
    (folder / "result.json").write_text(text)
    row = dlexp.load_runs(tmp_path).iloc[0]
    assert math.isinf(row["train/loss"])
    assert math.isnan(row["test/loss"])


def test_other_folders_are_no_runs(tmp_path: Path, run: WriteRun) -> None:
    folder = run(tmp_path, {}, {})
    for name in ("figures", ".locks", "notes", ".hydra"):
        (tmp_path / "sweep" / name).mkdir(parents=True)
    folder.rename(tmp_path / "sweep" / folder.name)
    (tmp_path / "sweep" / ".hydra").rmdir()
    (tmp_path / "sweep" / "multirun.yaml").write_text("")
    assert [found.run_id for found in read_runs(tmp_path / "sweep")] == [folder.name]


def test_a_run_folder_itself_can_be_read(tmp_path: Path, run: WriteRun) -> None:
    folder = run(tmp_path, {"model.width": 7}, {"test/loss": 1.0})
    assert dlexp.load_runs(folder)["model.width"].tolist() == [7]


def test_an_unfinished_run_counts_with_the_settings_that_hydra_wrote(tmp_path: Path) -> None:
    hydra = tmp_path / "width=5,seed=2-0123abcd" / ".hydra"
    hydra.mkdir(parents=True)
    (hydra / "config.yaml").write_text(
        "seed: 2\nmodel:\n  width: 5\n  seed: ${seed}\noptimizer:\n  lr: 1e-3\n  betas: [0.9, '${seed}']\n"
        "training:\n  loss: ${resolver_that_only_hydra_knows:${model.width}}\n"
    )
    (hydra / "overrides.yaml").write_text("- model.width=5\n- seed=2\n")
    (found,) = read_runs(tmp_path)
    assert found.status == "running or interrupted"
    assert found.seed == 2
    assert found.settings["optimizer.lr"] == 1e-3
    assert found.settings["model.seed"] == 2
    assert found.settings["optimizer.betas"] == "[0.9, 2]"
    assert "training.loss" not in found.settings
    assert found.overrides == ["model.width=5", "seed=2"]


def test_a_killed_run_whose_files_are_rubbish_still_counts(tmp_path: Path) -> None:
    hydra = tmp_path / "seed=0-0123abcd" / ".hydra"
    hydra.mkdir(parents=True)
    (hydra / "config.yaml").write_bytes(b"\xff\xfe{{{")
    (tmp_path / "seed=1-0123abce").mkdir()
    assert [found.status for found in read_runs(tmp_path)] == ["running or interrupted"] * 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"status": "done", "config"', "Expecting"),
        (b"", "Expecting value"),
        (b"[1, 2]", "a list instead of an object"),
        (b'{"status": "well", "config": {}, "metrics": {}}', "status is 'well'"),
        (b'{"status": "done", "config": {}}', "metrics is missing"),
        (b"\xff\xfe\x00", "codec can't decode"),
        (b'{"status": "done", "config": {}, "metrics": {"a": 1' + b"0" * 400 + b"}}", "too large"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_a_corrupt_result_is_reported_and_the_rest_is_read(
    tmp_path: Path, run: WriteRun, content: bytes, reason: str
) -> None:
    good = run(tmp_path, {}, {"test/loss": 1.0})
    bad = run(tmp_path, {"model.width": 3}, {"test/loss": 1.0})
    (bad / "result.json").write_bytes(content)
    found = {each.run_id: each for each in read_runs(tmp_path)}
    assert found[good.name].status == "done"
    assert found[bad.name].status == "unreadable"
    error = found[bad.name].error
    assert error is not None
    assert reason in error
    assert "\n" not in error


def test_the_same_job_in_two_folders_counts_once(tmp_path: Path, run: WriteRun) -> None:
    failed = run(tmp_path, {"model.width": 5}, {}, status="failed", overrides={"model.width": 5})
    done = run(tmp_path, {"model.width": 5}, {"test/loss": 1.0}, overrides={})
    assert done != failed
    os.utime(done / "result.json", (1, 1))  # older, but finished
    assert [each.folder for each in read_runs(tmp_path)] == [done]
    newer = run(tmp_path, {"model.width": 5}, {"test/loss": 2.0}, overrides={"width": 5, "x": 1})
    assert [each.folder for each in read_runs(tmp_path)] == [newer]
    # interrupted under yet another name: only the digits at the end tell that it is the same job
    unfinished = tmp_path / f"again-{json.loads((done / 'result.json').read_text())['identity'][:8]}"
    unfinished.mkdir()
    assert [each.folder for each in read_runs(tmp_path)] == [newer]


def test_a_folder_without_runs_says_so(tmp_path: Path, run: WriteRun) -> None:
    with pytest.raises(NoRunsError, match=r"There is no folder .*nothing\.$"):
        dlexp.load_runs(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoRunsError, match=r"There are no runs in .*empty\.$"):
        dlexp.load_runs(tmp_path / "empty")
    run(tmp_path / "sweep", {}, {})
    with pytest.raises(NoRunsError, match=r"There are in .*sweep\.$"):
        dlexp.load_runs(tmp_path)


def test_flatten_keeps_leaves_only() -> None:
    assert flatten({"a": {"b": {"c": 1}, "d": [1, "x"]}, "e": {}, "f": None}) == {
        "a.b.c": 1,
        "a.d": '[1, "x"]',
        "f": None,
    }


def test_importing_dlexp_and_reading_runs_stay_light() -> None:
    code = (
        "import sys, dlexp, dlexp.cli.report; assert 'load_runs' in dir(dlexp); dlexp.load_runs\n"
        "heavy = {'torch', 'pandas', 'matplotlib', 'scipy', 'hydra', 'tensorboard', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dlexp.nothing


def test_hidden_folders_and_files_are_no_runs(tmp_path: Path, run: WriteRun) -> None:
    shown = run(tmp_path, {"model.width": 5}, {"test/loss": 0.2})
    run(tmp_path / ".trash", {"model.width": 6}, {"test/loss": 0.3})
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "result.json").write_text((shown / "result.json").read_text())
    (tmp_path / "notes").write_text("a file")
    assert [found.run_id for found in read_runs(tmp_path)] == [shown.name]
