import os
import subprocess
import sys

import pandas
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dlexp.records import lease
from dlexp.records.folders import NoRunsError
from dlexp.report.results import rebuild


def test_everything_is_made_from_the_folder(tmp_path, run, double_descent):
    sweep = double_descent(tmp_path / "sweep", 3)
    run(sweep, {"model.width": 50}, {}, seed=3, status="failed", error="RuntimeError: no")
    results = rebuild(sweep)
    runs = pandas.read_csv(sweep / "runs.csv")
    assert len(runs) == 16
    assert runs["model.width"].tolist() == sorted(runs["model.width"])
    assert runs["status"].value_counts().to_dict() == {"done": 15, "failed": 1}
    summary = pandas.read_csv(sweep / "summary.csv")
    assert summary["model.width"].tolist() == [1, 2, 5, 50, 200]
    assert summary["n_failed"].tolist() == [0, 0, 0, 1, 0]
    means = runs[runs["status"] == "done"].groupby("model.width")["test/loss"].mean()
    assert summary["test/loss_mean"].tolist() == pytest.approx(means.tolist(), rel=1e-15)
    pandas.testing.assert_frame_equal(results.summary, summary, check_dtype=False)
    assert len(results.runs) == 16
    assert [path.name for path in results.figures] == ["loss_against_model.width.png"]
    assert all(path.stat().st_size > 0 for path in results.files)
    made = {path.name for path in sweep.iterdir() if not path.name.endswith(tuple("0123456789abcdef"))}
    assert made == {"runs.csv", "summary.csv", "report.html", "figures", ".locks"}


def test_whole_numbers_stay_whole_beside_runs_that_cannot_be_read(tmp_path, run, metrics):
    run(tmp_path, {"model.width": 5}, metrics(1.0))
    run(tmp_path, {"model.width": 50}, {}, status="failed")
    (run(tmp_path, {"model.width": 500}, {}) / "result.json").write_text("")
    rebuild(tmp_path)
    assert (tmp_path / "runs.csv").read_text().splitlines()[1].split(",")[-4:-1] == ["5", "0.5", "1.0"]
    assert (tmp_path / "summary.csv").read_text().splitlines()[1].startswith("5,1,0,0.5,,,,1,")


def test_figures_are_images_in_tensorboard_and_do_not_pile_up(tmp_path, double_descent):
    for seeds in (1, 2, 2):
        results = rebuild(double_descent(tmp_path, seeds))
    (events,) = (tmp_path / "figures").glob("*tfevents*")
    assert events in results.files
    reader = EventAccumulator(str(tmp_path / "figures"))
    reader.Reload()
    assert reader.Tags()["images"] == ["sweep/loss_against_model.width"]
    (image,) = reader.Images("sweep/loss_against_model.width")
    assert image.step == 10
    assert image.encoded_image_string == (tmp_path / "figures" / "loss_against_model.width.png").read_bytes()
    with Image.open(tmp_path / "figures" / "loss_against_model.width.png") as figure:
        assert (image.width, image.height) == figure.size


def test_more_runs_refine_the_figures_and_stale_ones_go(tmp_path, run, metrics):
    for width in (5, 50):
        run(tmp_path, {"model.width": width}, metrics(1.0))
    other = [run(tmp_path, {"model.width": width, "optimizer.lr": 0.5}, metrics(2.0)) for width in (5, 50)]
    rebuild(tmp_path)
    kept = tmp_path / "figures" / "mine.png"
    kept.write_bytes(b"")
    names = {path.name for path in (tmp_path / "figures").glob("*.png")}
    assert names == {"loss_against_model.width.png", "loss_against_optimizer.lr.png", "mine.png"}
    for folder in other:
        (folder / "result.json").unlink()
        folder.rmdir()
    rebuild(tmp_path)
    names = {path.name for path in (tmp_path / "figures").glob("*.*g")}
    assert names == {"loss_against_model.width.png", "loss_against_model.width.svg", "mine.png"}


def test_nothing_finished_still_gives_tables(tmp_path, run):
    (run(tmp_path, {}, {}) / "result.json").write_text("{")
    results = rebuild(tmp_path)
    assert results.figures == []
    assert len(pandas.read_csv(tmp_path / "runs.csv")) == 1
    assert list(pandas.read_csv(tmp_path / "summary.csv").columns) == ["n", "n_failed"]


def test_a_folder_without_runs_is_left_as_it_is(tmp_path):
    with pytest.raises(NoRunsError):
        rebuild(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_second_process_waits_for_the_first(tmp_path, run, metrics, monkeypatch):
    run(tmp_path, {}, metrics(1.0))
    rebuild(tmp_path)
    (tmp_path / "runs.csv").unlink()
    monkeypatch.setattr("dlexp.report.results._LOCK_TIMEOUT_S", 0.05)
    assert lease.take(tmp_path / ".locks")
    with pytest.raises(TimeoutError):
        rebuild(tmp_path)
    lease.release(tmp_path / ".locks")
    assert not (tmp_path / "runs.csv").exists()


def test_processes_at_once_do_not_corrupt(tmp_path, double_descent):
    sweep = double_descent(tmp_path, 2)
    code = f"from dlexp.report.results import rebuild; rebuild({str(sweep)!r})"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code], stderr=subprocess.PIPE, env=environment)
        for _ in range(2)
    ]
    for process in processes:
        _, errors = process.communicate()
        assert errors == b""
        assert process.returncode == 0
    assert len(pandas.read_csv(sweep / "runs.csv")) == 10
    assert len(list((sweep / "figures").iterdir())) == 3
    assert not list(sweep.rglob("*.tmp"))
