"""Planning and running a sweep's jobs in this process: which train together, where, and what is kept."""

import itertools
import multiprocessing
import os
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

from dlexp.config.jobs import compose_jobs
from dlexp.launch.command import Command
from dlexp.launch.executors import InProcessExecutor, take_device
from dlexp.launch.sweep import Settings, plan_ensembles, run_jobs

FAST = ["trainer.max_steps=5", "trainer.accelerator=cpu", "logger=none", "data.n_train=20", "data.n_test=9"]


@pytest.fixture
def jobs_of(composer, tmp_path, monkeypatch):
    """Return a function from the overrides of each job to a sweep's jobs in a folder of the test."""
    monkeypatch.chdir(tmp_path)
    return lambda *rows: compose_jobs(composer, [[*FAST, "name=s", *row] for row in rows])


MIXED = [
    ["model.width=2"],
    ["model.width=3", "optimizer.lr=0.1"],
    ["model.width=3", "trainer.max_steps=7"],
    ["model.width=4", "trainer.max_steps=7", "callbacks=[hessian]"],
    ["trainer.gradient_clip_val=0.5"],
    ["training.engine=loop"],
    ["optimizer._target_=torch.optim.RMSprop", "optimizer.name=null"],
    ["trainer.precision=bf16-mixed"],
    ["trainer.precision=64-true"],
    ["optimizer=adam", "model.width=2"],
]


def planned(jobs, **settings):
    return [[job.index for job in ensemble] for ensemble in plan_ensembles(jobs, Settings(**settings))]


def test_jobs_that_can_share_a_program_are_one_ensemble(jobs_of):
    jobs = jobs_of(*MIXED)
    assert planned(jobs) == [[0, 1], [2, 3], [8], [4], [5], [6], [7], [9]]  # 9 is 0 again
    assert planned(jobs, together=False) == [[index] for index in range(len(jobs))]
    assert planned([]) == []


@pytest.mark.parametrize(("workers", "sizes"), [(1, [7]), (2, [4, 3]), (3, [3, 2, 2]), (20, [1] * 7)])
def test_all_workers_have_work_and_parts_are_alike(workers, sizes, jobs_of):
    jobs = jobs_of(*([f"seed={seed}"] for seed in range(7)))
    ensembles = planned(jobs, workers=workers)
    assert sorted(map(len, ensembles), reverse=True) == sizes
    assert sorted(itertools.chain(*ensembles)) == list(range(7))
    assert all(len({index % len(ensembles) for index in own}) == 1 for own in ensembles)


def test_what_does_not_fit_the_memory_is_cut(jobs_of):
    jobs = jobs_of(*([f"seed={seed}"] for seed in range(6)))
    assert planned(jobs, memory_gib=1e-12) == [[index] for index in range(6)]
    (needed,) = {len(own) for own in planned(jobs, memory_gib=2e-4)[:-1]}
    assert 1 < needed < 6


class Elsewhere(Executor):
    """Loses what it is given, or runs it as another thread would, later."""

    def __init__(self, error=None):
        self.error, self.submitted = error, 0

    def submit(self, fn, /, *args, **kwargs):
        self.submitted += 1
        assert kwargs["report"] is None  # it cannot go to another process
        future = Future()
        future.set_exception(self.error) if self.error else future.set_result(fn(*args, **kwargs))
        return future


@pytest.mark.parametrize(
    "executor",
    [
        pytest.param(InProcessExecutor(), id="here"),
        pytest.param(ThreadPoolExecutor(1), id="thread"),
        pytest.param(Elsewhere(), id="elsewhere"),
        pytest.param(Elsewhere(RuntimeError("the node is gone")), id="lost", marks=pytest.mark.slow),
    ],
)
def test_every_job_ends_in_its_folder_whoever_runs_it(executor, jobs_of):
    jobs = jobs_of(*([f"model.width={w}", f"seed={s}"] for w in (2, 5) for s in (0, 1)))
    command = Command()
    runs = run_jobs(jobs, command, executor, Settings())
    assert [run.status for run in runs] == ["done"] * 4
    assert [run.folder for run in runs] == [job.folder.absolute() for job in jobs]
    assert [run.config["model"]["width"] for run in runs] == [2, 2, 5, 5]
    assert command.runs == runs
    assert all((job.folder / ".hydra" / "overrides.yaml").exists() for job in jobs)


def test_a_second_call_trains_what_is_not_finished(jobs_of):
    jobs = jobs_of(*([f"seed={seed}"] for seed in range(3)))
    run_jobs(jobs, Command(), InProcessExecutor(), Settings())
    written = {job.folder: (job.folder / "result.json").stat().st_mtime_ns for job in jobs}
    (jobs[1].folder / "result.json").write_text("{")
    command = Command()
    runs = run_jobs(jobs, command, InProcessExecutor(), Settings())
    assert [run.status for run in runs] == ["done"] * 3
    changed = [
        job.index for job in jobs if (job.folder / "result.json").stat().st_mtime_ns != written[job.folder]
    ]
    assert changed == [1]
    assert command.unsuccessful == []


def test_what_cannot_be_made_is_refused_before_any_job_begins(jobs_of):
    missing = "+callbacks.c._target_=no.such.Class"
    jobs = jobs_of(["seed=0"], [missing], [missing, "seed=1"])
    with pytest.raises(SystemExit, match=r"(?s)cannot be run:.*no\.such.*\(2 of 3 jobs\)"):
        run_jobs(jobs, Command(), InProcessExecutor(), Settings())
    assert not any(job.folder.exists() for job in jobs)


def test_a_job_whose_data_cannot_be_drawn_leaves_the_others_a_stack(jobs_of):
    generator = "data.generator._target_=tests.launch.generators.unlucky"
    jobs = jobs_of(*([generator, f"seed={seed}"] for seed in range(4)))
    runs = run_jobs(jobs, Command(), InProcessExecutor(), Settings())
    assert [run.status for run in runs] == ["done", "done", "failed", "done"]
    assert runs[2].error == "RuntimeError: two is unlucky"
    logs = [(job.folder / "train.log").read_text() for job in jobs]
    assert ["one of 3 networks at once" in log for log in logs] == [True, True, False, True]
    assert "Traceback" in logs[2]


@pytest.mark.parametrize(("visible", "seen"), [("4,7", ["4", "7", "4"]), (None, ["0", "1", "0"])])
def test_each_process_of_a_pool_sees_one_device(monkeypatch, visible, seen):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    counter = multiprocessing.Value("i", 0)
    found = []
    for _ in range(3):  # as many processes begin, each with the environment of the first
        with monkeypatch.context() as process:
            if visible is not None:
                process.setenv("CUDA_VISIBLE_DEVICES", visible)
            take_device(counter, devices=2)
            found.append(os.environ.pop("CUDA_VISIBLE_DEVICES"))
    assert found == seen
