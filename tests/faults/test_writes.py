"""A fault at any write of a job: nothing finished is lost, nothing half-written is taken for right."""

import json
from pathlib import Path

import pytest

from tests.laws.comparison import assert_same_bits
from tests.laws.processes import Fault
from tests.laws.runs import Outcome, compose, read

JOB = [
    "data.n_train=20",
    "data.n_test=9",
    "data.input_dim=4",
    "model.width=5",
    "trainer.max_steps=20",
    "logger=tensorboard",
    "callbacks=[hessian]",
    "callbacks.hessian.figures=false",
]
JOBS = [compose(*JOB, f"seed={seed}") for seed in (0, 1)]


@pytest.fixture(scope="module")
def whole(processes, tmp_path_factory):
    """The outcomes without a fault of one job and of both as a stack, and how many writes they took."""
    folder = tmp_path_factory.mktemp("whole")
    ends = {}
    for count in (1, 2):
        where = folder / str(count)
        ended = processes.train(JOBS[:count], where, Fault("error", -1, str(where)))
        assert ended.code == 0, ended.output
        ends[count] = [read(where / str(index)) for index in range(count)], ended.writes
    return ends


def finished(folder: Path, count: int) -> dict[int, bytes]:
    """Return the results of the jobs that say that they are done."""
    found = {}
    for index in range(count):
        path = folder / str(index) / "result.json"
        if path.exists() and json.loads(path.read_bytes())["status"] == "done":
            found[index] = path.read_bytes()
    return found


def check(processes, folder: Path, expected: list[Outcome], fault: Fault) -> None:
    count = len(expected)
    processes.train(JOBS[:count], folder, fault)
    done = finished(folder, count)
    for index in done:  # whoever reads it now finds all of it
        assert_same_bits(read(folder / str(index)), expected[index], f"{fault}, job {index} as left")
    ended = processes.train(JOBS[:count], folder)
    assert ended.code == 0, f"{fault}: {ended.output}"
    assert len(finished(folder, count)) == count, fault
    for index, outcome in enumerate(expected):
        own = folder / str(index)
        assert_same_bits(read(own), outcome, f"{fault}, job {index} run again")
        if index in done:
            assert (own / "result.json").read_bytes() == done[index], f"{fault}: job {index} trained again"


FAULTS = [(kind, share) for kind in ("error", "kill") for share in (0.25, 0.5, 0.7, 0.95)]


@pytest.mark.parametrize(("kind", "share"), FAULTS)
def test_a_job_survives_a_fault_at_a_write(kind, share, processes, whole, tmp_path):
    expected, writes = whole[1]
    check(processes, tmp_path, expected, Fault(kind, int(share * writes), str(tmp_path)))


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("kind", ["error", "kill"])
def test_jobs_survive_a_fault_at_each_of_their_writes(kind, count, processes, whole, tmp_path):
    expected, writes = whole[count]
    assert writes > 10 * count
    for at in range(writes):
        folder = tmp_path / str(at)
        check(processes, folder, expected, Fault(kind, at, str(folder)))


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 100, 1000, 3000])
def test_a_job_survives_files_that_are_cut_short(size, processes, whole, tmp_path):
    expected, _ = whole[1]
    check(processes, tmp_path, expected, Fault("size", size, str(tmp_path)))
