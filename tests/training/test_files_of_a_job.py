"""What a job writes besides its numbers: TensorBoard's events, the checkpoint, the lock of its folder."""

from pathlib import Path

import pytest
import torch
from dlexp.training.checkpoint import save_checkpoint
from dlexp.training.recorder import Recorder
from dlexp.training.tensorboard import RunTensorBoard
from filelock import FileLock
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader


def event_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("events.out.tfevents.*"))


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_replayed_records_are_tensorboards_scalars(tmp_path):
    recorder = Recorder()
    for step in range(300):
        recorder.record({"train/loss": 1 / (step + 1), "test/loss": float(step)}, step=step, epoch=0)
    logger = RunTensorBoard(tmp_path)
    recorder.attach([logger])
    logger.log_hyperparams({"seed": 1, "model": {"width": 5, "bias": True}})
    logger.end(well=True)
    (file,) = event_files(tmp_path)
    assert next(iter(EventFileLoader(str(file)).Load())).file_version == "brain.Event:2"
    found = scalars(tmp_path)
    assert found["train/loss"] == [(s, pytest.approx(1 / (s + 1), rel=1e-6)) for s in range(300)]
    assert found["test/loss"] == [(s, s) for s in range(300)]


def test_events_can_be_read_while_a_job_runs(tmp_path, monkeypatch):
    logger = RunTensorBoard(tmp_path)
    logger.log_metrics({"a": 1.0}, step=0)
    logger.save()
    assert scalars(tmp_path) == {"a": [(0, 1.0)]}
    monkeypatch.setattr("dlexp.training.tensorboard.SECONDS_BETWEEN_FLUSHES", 0.0)
    logger.log_metrics({"a": 2.0}, step=1)
    assert scalars(tmp_path) == {"a": [(0, 1.0), (1, 2.0)]}
    logger.end(well=True)


def test_torchs_writer_is_made_for_those_who_ask_it_for_something(tmp_path):
    logger = RunTensorBoard(tmp_path)
    logger.log_metrics({"a": 1.0}, step=0)
    experiment = logger.experiment
    assert len(event_files(tmp_path)) == 1
    experiment.add_scalar("b", 3.0, global_step=7)
    logger.experiment.add_scalar("b", 4.0, global_step=8)
    logger.end(well=True)
    assert len(event_files(tmp_path)) == 2
    assert scalars(tmp_path) == {"a": [(0, 1.0)], "b": [(7, 3.0), (8, 4.0)]}


def test_a_serial_fit_leaves_one_events_file(run):
    _, folder = run("logger=tensorboard")
    assert len(event_files(folder)) == 1
    assert len(scalars(folder)["train/loss"]) > 2


def test_a_checkpoint_cut_short_is_an_error(tmp_path, monkeypatch):
    state = {"weight": torch.arange(1000.0)}
    path = save_checkpoint(tmp_path / "whole", state, {"a": 1}, step=3, epoch=1)
    loaded = torch.load(path)
    assert torch.equal(loaded["state_dict"]["network.weight"], state["weight"])
    assert (loaded["global_step"], loaded["hyper_parameters"]) == (3, {"a": 1})
    write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda path, content: write(path, bytes(content)[:-100]))
    with pytest.raises(OSError, match="does not hold what was written"):
        save_checkpoint(tmp_path / "cut", state, {"a": 1}, step=3, epoch=1)
    assert not (tmp_path / "cut" / "checkpoints" / "last.ckpt").exists()


def test_a_job_waits_for_another_process_at_it(run, tmp_path, monkeypatch):
    folder = tmp_path / "shared" / "job"
    folder.mkdir(parents=True)
    (folder.parent / ".locks").mkdir()
    lock = FileLock(folder.parent / ".locks" / "job.lock", thread_local=False)
    lock.acquire()
    monkeypatch.setattr("dlexp.training.job.log.info", lambda text, *_: (told.append(text), lock.release()))
    told: list[str] = []
    result, _ = run(folder=folder)
    assert result.status == "done"
    assert told[0].startswith("another process is at this job")


def test_what_an_earlier_try_left_is_removed(run, tmp_path):
    folder = tmp_path / "job"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "figures").mkdir()
    for name in ("events.out.tfevents.1", "metrics.csv", "arrays.npz", "figures/a.png", "mine.txt"):
        (folder / name).write_text("old")
    run("training.checkpoint=false", folder=folder)
    assert sorted(path.name for path in folder.iterdir()) == ["metrics.csv", "mine.txt", "result.json"]
    assert (folder / "metrics.csv").read_text() != "old"
