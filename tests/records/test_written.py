"""What a job leaves on disk: final values, logs, the checkpoint, events; and what it cannot write."""

import copy
import io
import json
import logging
import math
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from dlexp.records import lease
from dlexp.records.checkpoint import save_checkpoint
from dlexp.records.log import JobLog, info_logged
from dlexp.records.recorder import Recorder
from dlexp.records.run import Run, read_result
from dlexp.records.tensorboard import RunTensorBoard
from dlexp.train.build import make_network, network_settings
from dlexp.train.job import run_tasks
from dlexp.train.job_folder import Task
from dlexp.train.member import Member
from dlexp.train.optimizers import OptimizerSettings, make_optimizer, set_state_by_name


def event_files(folder):
    return sorted(folder.glob("events.out.tfevents.*"))


def scalars(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.mark.parametrize("value", [1.5, 0.1 + 0.2, 1e-300, 1e308, math.inf, -math.inf, math.nan])
def test_a_final_value_is_read_as_it_was_recorded_finite_or_not(value, tmp_path):
    recorder = Recorder()
    recorder.record({"a": 1.0, "b": 2.0}, step=0, epoch=0)
    recorder.record({"a": value}, step=5, epoch=1)
    recorder.write(tmp_path)
    Run("done", tmp_path.name, metrics=recorder.final).write(tmp_path)
    json.loads((tmp_path / "result.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    found = read_result(tmp_path)
    assert found.metrics == pytest.approx({"a": value, "b": 2.0}, rel=0, nan_ok=True)
    rows = [(0, 0, "a", 1.0), (0, 0, "b", 2.0), (5, 1, "a", value)]
    for row, expected in zip(found.rows(), rows, strict=True):
        assert row == expected or (math.isnan(value) and row[:3] == expected[:3])


def test_what_a_result_holds_comes_back_with_what_others_added(tmp_path):
    run = Run("failed", tmp_path.name, identity="ab", seed=3, config={"a": {"b": [1, None]}}, clean=False)
    run.metrics, run.error, run.duration_s, run.device = {"m": 0.5}, "RuntimeError: no", 1.5, "cpu"
    run.overrides, run.versions, run.commit, run.extra = (
        ["a.b=1"],
        {"torch": "2"},
        "c0ffee",
        {"mine": {"x": 1}},
    )
    run.write(tmp_path)
    found = read_result(tmp_path)
    run.written = found.written
    assert found == run


def test_arrays_are_read_as_they_were_recorded(tmp_path):
    recorder = Recorder()
    recorder.record_array("a/b", [1, 2])
    recorder.record_array("a/b", [[0.1, np.nan]])
    recorder.write(tmp_path)
    found = Run("done", "x", folder=tmp_path).arrays()
    assert found.keys() == {"a/b"}
    assert np.array_equal(found["a/b"], [[0.1, np.nan]], equal_nan=True)


def test_replayed_records_are_tensorboards_scalars(tmp_path):
    recorder = Recorder()
    for step in range(300):
        recorder.record({"train/loss": 1 / (step + 1), "test/loss": float(step)}, step=step, epoch=0)
    logger = RunTensorBoard(tmp_path)
    recorder.attach([logger])
    assert copy.deepcopy(recorder).loggers == []
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
    monkeypatch.setattr("dlexp.records.tensorboard.SECONDS_BETWEEN_FLUSHES", 0.0)
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


def test_a_jobs_events_are_its_rows(run):
    result, folder = run("logger=tensorboard", "data=gaussian_mixture", "data.n_train=60")
    assert len(event_files(folder)) == 1
    kept = {}
    for step, _, name, value in result.rows():
        kept.setdefault(name, []).append((step, pytest.approx(value, rel=1e-6)))
    assert scalars(folder) == kept


def test_a_job_log_holds_what_was_logged_while_it_was_active_and_no_more(tmp_path):
    one, other = JobLog(tmp_path / "."), JobLog(tmp_path)
    other.path = tmp_path / "other.log"
    with info_logged():
        with one.active():
            logging.getLogger("a").info("first")
            with one.active(), other.active():  # again and beside another
                logging.getLogger("b").warning("second")
        logging.getLogger("c").info("third")
    for log in (one, other, one):
        log.flush()
    assert [line.split(": ")[-1] for line in one.path.read_text().splitlines()] == ["first", "second"]
    assert [line.split(": ")[-1] for line in other.path.read_text().splitlines()] == ["second"]


def test_a_checkpoint_opens_with_bare_torch_load_and_training_can_go_on_from_it(run):
    result, folder = run(
        "model.width=6", "model.parametrization=ntk", "optimizer.momentum=0", "data.batch_size=30"
    )
    path = folder / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path)
    assert checkpoint["global_step"] == 12
    assert checkpoint["epoch"] == 3
    member = Member.load_from_checkpoint(path)
    fresh = make_network(network_settings(result.config))
    assert member.network.hidden_1.weight_scale == fresh.hidden_1.weight_scale != 1
    assert dict(member.hparams) == checkpoint["hyper_parameters"]
    for name, value in member.network.state_dict().items():
        assert torch.equal(value, checkpoint["state_dict"][f"network.{name}"])
    parameters = dict(member.network.named_parameters())
    optimizer = make_optimizer(member.network, OptimizerSettings.of(member.hparams["optimizer"]))
    set_state_by_name(optimizer, parameters, checkpoint["optimizer_state"])
    assert {state["step"].item() for state in optimizer.state.values()} == {12}
    assert len(optimizer.state) == len(parameters)


def test_the_network_in_a_checkpoint_is_the_one_whose_loss_is_reported(run):
    from dlexp.train.build import make_datamodule

    result, folder = run("data.batch_size=10", "model.width=20")
    member = Member.load_from_checkpoint(folder / "checkpoints" / "last.ckpt")
    data = make_datamodule(result.config).tensors()
    assert result.metrics["test/loss"] == pytest.approx(
        member.loss(member(data.x_test), data.y_test).item(), rel=1e-6
    )


def test_a_checkpoint_of_version_0_1_makes_its_network(tmp_path):
    settings = {"_target_": "dlexp.models.mlp.MLP", "input_dim": 3, "width": 4, "depth": 1, "seed": 1}
    network = make_network(settings)
    optimizer = {
        "name": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
        "betas": [0.9, 0.999],
        "weight_decay": 0.0,
        "schedule": "cosine",
    }
    old = {"network": settings, "loss": "mse", "optimizer": optimizer, "total_steps": 12, "in_blocks": True}
    path = save_checkpoint(tmp_path, network.state_dict(), old, {}, step=12, epoch=3)
    content = torch.load(path)
    del content["optimizer_state"]
    torch.save(content, path)
    member = Member.load_from_checkpoint(path)
    x = torch.randn(5, 3)
    assert torch.equal(member(x), network(x))
    assert (member.schedule.name, member.schedule.period) == ("cosine", 12)


def test_a_checkpoint_holds_its_own_numbers_alone(tmp_path):
    whole = torch.zeros(10**6)
    path = save_checkpoint(tmp_path, {"weight": whole[:4].view(2, 2).T}, {}, {}, step=0, epoch=0)
    assert path.stat().st_size < 10_000


def test_a_job_waits_for_another_process_at_it(run, tmp_path, monkeypatch):
    folder = tmp_path / "job"
    folder.mkdir()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    owner = f"{socket.gethostname()} {other.pid} {lease._started(other.pid)}"
    (folder / lease.MARKER).write_text(owner)
    told = []
    monkeypatch.setattr("dlexp.train.job.log.info", lambda text, *_: (told.append(text), other.kill()))
    monkeypatch.setattr(lease, "wait", lambda folder: (other.wait(), lease.take(folder)))
    result, _ = run(folder=folder)
    assert result.status == "done"
    assert told[0].startswith("another process is at this job")
    assert not (folder / lease.MARKER).exists()


def test_what_an_earlier_try_left_is_removed(run, tmp_path):
    folder = tmp_path / "job"
    for name in (
        "events.out.tfevents.1",
        "metrics.csv",
        "arrays.npz",
        "figures/a.png",
        "checkpoints/last.ckpt",
        "mine.txt",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("old")
    run("training.checkpoint=false", folder=folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "metrics.csv",
        "mine.txt",
        "result.json",
        "train.log",
    ]
    assert (folder / "metrics.csv").read_text() != "old"


@pytest.mark.parametrize("file", ["overrides.yaml", "metrics.csv", "last.ckpt", "result.json", "train.log"])
def test_what_cannot_be_written_fails_its_job_alone_and_is_named(file, compose_plain, tmp_path, monkeypatch):
    def tasks():
        short = ["trainer.max_steps=5", "logger=none", "trainer.accelerator=cpu"]
        configs = [compose_plain(*short, f"seed={seed}") for seed in (0, 1, 2)]
        return [Task(c, [], tmp_path / f"job{i}", {"overrides.yaml": "[]"}) for i, c in enumerate(configs)]

    (tmp_path / "job1").mkdir()
    with monkeypatch.context() as full:
        for name in ("open", "replace"):
            full.setattr(os, name, _full_for(tmp_path / "job1" / file, getattr(os, name)))
        full.setattr(io, "open", _full_for(tmp_path / "job1" / file, io.open))
        runs = run_tasks(tasks())
    assert [run.status for run in runs] == ["done", "failed", "done"]
    assert runs[1].error.startswith("/")
    assert f"{file} cannot be written: No space left on device" in runs[1].error
    kept = [(tmp_path / f"job{i}" / "result.json").stat().st_mtime_ns for i in (0, 2)]
    assert [run.status for run in run_tasks(tasks())] == ["done"] * 3
    assert [(tmp_path / f"job{i}" / "result.json").stat().st_mtime_ns for i in (0, 2)] == kept


def _full_for(path, right):
    """Return a function on files that finds the disk full where it is to write one, whatever its folder."""

    def wrong(*arguments, **keywords):
        if any(
            str(a).endswith(f"{path.parent.name}/{p}")
            for a in arguments
            for p in (path.name, f"checkpoints/{path.name}")
        ):
            raise OSError(28, "No space left on device", str(path))
        return right(*arguments, **keywords)

    return wrong


@pytest.mark.parametrize("name", ["result.json", "metrics.csv", "arrays.npz"])
def test_a_folder_in_the_place_of_a_result_is_removed(name, run, tmp_path):
    (tmp_path / "job" / name / "inside").mkdir(parents=True)
    assert run(folder=tmp_path / "job")[0].status == "done"
    assert not (tmp_path / "job" / name).is_dir()


def test_lean_jobs_leave_three_files(command, tmp_path):
    fast = ["debug=fast", "trainer.accelerator=cpu", "records=lean"]
    done = command("-m", "seed=0,1", "name=lean", *fast)
    assert done.returncode == 0, done.stderr
    folders = [path.parent for path in tmp_path.glob("outputs/*/*/result.json")]
    assert len(folders) == 2
    for folder in folders:
        files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert files == {"result.json", "metrics.csv", "checkpoints/last.ckpt"}
