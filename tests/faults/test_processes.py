"""Processes that are killed, interrupted or end themselves, and several at once: nothing finished is lost."""

import os
import random
import signal
import time

import pytest

from tests.faults.commands import SMALL, children, code_of, results, stamps, start, statuses, wait_for
from tests.laws.comparison import assert_equal
from tests.laws.processes import Fault
from tests.laws.runs import read

pytestmark = pytest.mark.timeout(1800)  # several processes, each of which imports torch

LAUNCHERS = {
    "serial": ["hydra/launcher=serial"],
    "stacked": [],
    "two workers": ["hydra.launcher.workers=2"],
}


def logs(folder):
    return {path.parent.name: path.read_text() for path in folder.glob("outputs/s/*/train.log")}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_job_that_ends_its_process_is_found(launcher, tmp_path):
    exits = ["+callbacks.exits._target_=tests.faults.foreign.Exits", "+callbacks.exits.every_n_steps=5"]
    sweep = ["-m", "seed=0,1,2,3", "trainer.max_steps=12", *SMALL, *exits, *LAUNCHERS[launcher]]
    for _ in range(2):  # a process that it takes with it cannot say so
        process = start(*sweep, cwd=tmp_path)
        stdout, stderr = process.communicate(timeout=900)
        if process.returncode == 1:
            break
        assert process.returncode == 7
        assert launcher != "two workers"
    assert process.returncode == 1, stderr
    assert statuses(tmp_path) == ["done", "done", "done", "failed"]
    (error,) = {run["error"] for run in results(tmp_path).values() if run["status"] == "failed"}
    assert "killed, or out of memory" in error
    assert (tmp_path / "outputs" / "s" / "report.html").exists()
    assert "failed: " in stdout


def test_a_job_that_raises_leaves_the_others_a_stack(processes, tmp_path):
    raises = ["+callbacks.raises._target_=tests.faults.foreign.Raises", "+callbacks.raises.every_n_steps=5"]
    sweep = ["-m", "seed=0,1,2,3", "trainer.max_steps=12", *SMALL, *raises]
    ended = processes.command(*sweep, cwd=tmp_path)
    assert ended.code == 1
    assert statuses(tmp_path) == ["done", "done", "done", "failed"]
    assert ["by itself" in log for log in logs(tmp_path).values()] == [False] * 4
    assert sum("one of 4 networks at once" in log for log in logs(tmp_path).values()) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9), (signal.SIGTERM, 143)]
)
def test_an_interrupted_sweep_keeps_what_is_finished_and_goes_on(sent, code, tmp_path):
    # one job after the other, so that some are finished when it is interrupted
    sweep = ["-m", "model.width=1,2,3", "trainer.max_steps=3000", *SMALL, "hydra/launcher=serial"]
    sweep.remove("model.width=5")
    process = start(*sweep, cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob("outputs/s/*width=1*/result.json")))
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=100)
    assert process.returncode == code
    assert len([line for line in stderr.splitlines() if "left" not in line]) == (sent != signal.SIGKILL)
    finished = stamps(tmp_path)
    assert 1 <= len(finished) < 3
    assert code_of(*sweep, cwd=tmp_path) == 0
    assert statuses(tmp_path) == ["done"] * 3
    assert finished.items() <= stamps(tmp_path).items()


LONG = ["-m", "seed=0,1,2", "trainer.max_steps=200000", "training.stopping.train_loss=null", *SMALL]


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_what_is_told_to_end_leaves_a_snapshot_and_goes_on(launcher, sent, tmp_path):
    process = start(*LONG, *LAUNCHERS[launcher], "snapshot_minutes=0.1", cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob("outputs/s/.snapshots/*.snapshot")))  # it is in training
    began = time.time()
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=100)
    assert process.returncode == (143 if sent == signal.SIGTERM else 130)
    assert [line for line in stderr.splitlines() if "left" not in line] == [
        "Interrupted: finished jobs are kept, and the same command goes on from there."
    ]
    left = list(tmp_path.glob("outputs/s/.snapshots/*.snapshot"))
    assert left
    assert all(path.stat().st_mtime >= began for path in left)


@pytest.mark.slow
def test_workers_end_with_a_killed_driver(tmp_path):
    process = start(*LONG, "hydra.launcher.workers=2", cwd=tmp_path)
    wait_for(lambda: len(list(tmp_path.glob("outputs/s/*/.running"))) == 3)
    workers = children(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.communicate()
    wait_for(lambda: not any(os.path.exists(f"/proc/{worker}") for worker in workers), seconds=60)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 5])
def test_simultaneous_starts_share_the_jobs(count, tmp_path):
    sweep = ["-m", "seed=range(6)", "trainer.max_steps=300", *SMALL]
    starts = [start(*sweep, cwd=tmp_path) for _ in range(count)]
    outputs = [process.communicate(timeout=900) for process in starts]
    assert [process.returncode for process in starts] == [0] * count, outputs
    assert statuses(tmp_path) == ["done"] * 6
    trained = [log.count(" done after ") for log in logs(tmp_path).values()]
    assert trained == [1] * 6


@pytest.mark.slow
def test_a_termination_while_the_report_is_made_is_one_line(tmp_path):
    sweep = ["-m", "seed=0,1", "trainer.max_steps=5", *SMALL]
    assert code_of(*sweep, cwd=tmp_path) == 0
    table = tmp_path / "outputs" / "s" / "runs.csv"
    table.unlink()
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\n"
        "replace = os.replace\n"
        "def wait(source, target, **kwargs):\n"
        "    if str(target).endswith('runs.csv'):\n"
        "        open('waits', 'w').close()\n"
        "        time.sleep(200)\n"
        "    replace(source, target, **kwargs)\n"
        "os.replace = wait\n"
    )
    process = start(*sweep, cwd=tmp_path)
    wait_for((tmp_path / "waits").exists)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, len(stderr.splitlines())) == (143, 1)
    assert not table.exists()
    (tmp_path / "sitecustomize.py").unlink()
    assert code_of(*sweep, cwd=tmp_path) == 0
    assert table.exists()


KILLED = ["-m", *SMALL, "seed=range(6)", "model.width=2,5", "trainer.max_steps=400"]


@pytest.mark.slow
@pytest.mark.timeout(10_000)
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_random_kills_lose_nothing(launcher, processes, tmp_path, request):
    """``--kills=50`` makes them 150 in all."""
    rng = random.Random(launcher)
    sweep = [*KILLED, "snapshot_minutes=0.001", *LAUNCHERS[launcher]]
    began = time.monotonic()
    assert processes.command(*sweep, cwd=tmp_path / "whole").code == 0
    lasts = time.monotonic() - began
    whole = {path.name: read(path) for path in (tmp_path / "whole/outputs/s").glob("*seed*")}
    for number in range(request.config.getoption("--kills")):
        folder, kept = tmp_path / str(number), {}
        for _ in range(rng.choice([1, 1, 2])):
            processes.command(
                *sweep, cwd=folder, fault=Fault("clock", int(1000 * rng.uniform(0, lasts)), ".")
            )
            assert kept.items() <= stamps(folder).items()
            kept = stamps(folder)
        ended = processes.command(*sweep, cwd=folder)
        assert ended.code == 0, ended.output
        assert kept.items() <= stamps(folder).items()
        for name, outcome in whole.items():
            assert_equal(read(folder / "outputs" / "s" / name), outcome, None, f"kill {number}")
