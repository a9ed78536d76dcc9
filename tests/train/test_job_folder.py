"""What a job leaves in its folder, alone and beside others, and what a second try removes."""

import json

import pytest

from dlexp.train.job import run_tasks
from dlexp.train.job_folder import Task

SHORT = ("trainer.max_steps=5", "trainer.accelerator=cpu", "model.width=3", "data.n_train=10")


@pytest.fixture
def run_jobs(compose_plain, tmp_path):
    """Return a function that runs jobs of the seeds 0, 1, ... as one ensemble; it returns their folders."""

    def run(*overrides, count=2, files=None):
        folders = [tmp_path / str(seed) for seed in range(count)]
        settings = [[*SHORT, f"seed={seed}", *overrides] for seed in range(count)]
        tasks = [
            Task(compose_plain(*own), own, folder, files or {})
            for own, folder in zip(settings, folders, strict=True)
        ]
        run_tasks(tasks)
        return folders

    return run


def names(folder):
    """Return what lies in a folder, a file of events by the first part of its name."""
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted("events" if name.startswith("events.") else name for name in found)


@pytest.mark.parametrize("count", [1, 2])
def test_each_job_has_its_files_and_events(count, run_jobs):
    for folder in run_jobs("logger=tensorboard", count=count, files={".hydra/config.yaml": "{}"}):
        expected = [".hydra/config.yaml", "checkpoints/last.ckpt", "metrics.csv", "result.json", "train.log"]
        assert names(folder) == sorted([*expected, "events"])


@pytest.mark.parametrize("count", [1, 2])
def test_a_lean_job_has_three(count, run_jobs):
    for folder in run_jobs("logger=tensorboard", "records=lean", count=count, files={"a/b": "c"}):
        assert names(folder) == ["checkpoints/last.ckpt", "metrics.csv", "result.json"]


def test_without_a_checkpoint_there_is_none(run_jobs):
    for folder in run_jobs("logger=none", "training.checkpoint=false"):
        assert names(folder) == ["metrics.csv", "result.json", "train.log"]


def test_what_an_earlier_try_left_is_removed_and_what_is_a_users_stays(run_jobs, tmp_path):
    for name in ("metrics.csv", "arrays.npz", "events.out.tfevents.1", "figures/a.png", "mine.txt"):
        (tmp_path / "0" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "0" / name).write_text("earlier")
    folder, _ = run_jobs("logger=none")
    assert names(folder) == ["checkpoints/last.ckpt", "metrics.csv", "mine.txt", "result.json", "train.log"]
    assert (folder / "metrics.csv").read_text().startswith("step,epoch,name,value\n")


def test_a_failed_job_keeps_its_metrics_until_then_and_the_others_end(compose_plain, tmp_path):
    tasks = []
    for width in (2, 3):
        breaks = "+callbacks.breaks={_target_:tests.train.foreign.Breaks,every_n_steps:10}"
        own = [*SHORT, f"model.width={width}", "trainer.max_steps=30", "logger=none", breaks]
        tasks.append(Task(compose_plain(*own), own, tmp_path / str(width)))
    fine, broken = run_tasks(tasks)
    assert (fine.status, fine.metrics["width"]) == ("done", 2)
    assert (broken.status, broken.error) == ("failed", "RuntimeError: three is a crowd")
    stored = json.loads((broken.folder / "result.json").read_text())
    assert (stored["status"], stored["error"]) == (broken.status, broken.error)
    steps = {row[0] for row in broken.rows()}
    assert {0, 10} <= steps
    assert max(steps) <= 20
    assert "three is a crowd" in (broken.folder / "train.log").read_text()
