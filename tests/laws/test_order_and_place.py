"""Where and when a job runs does not matter: jobs before it, another process, a kill and a second try."""

import itertools
import json
from pathlib import Path

import pytest

from tests.laws.comparison import assert_equal, assert_same_bits
from tests.laws.processes import Fault
from tests.laws.runs import FLOAT64, Outcome, compose, read, train_alone, train_together
from tests.laws.strata import draw

SMALL = [
    "data.n_train=20",
    "data.n_test=9",
    "data.input_dim=4",
    "data.batch_size=6",
    "trainer.max_steps=30",
    "training.stopping.train_loss=null",
]
DIFFERENT = [
    ["optimizer=sgd", "optimizer.momentum=0.9", "model.width=3"],
    ["model.depth=2", "model.activation=tanh", "callbacks=[hessian]", "callbacks.hessian.figures=false"],
    ["model=linear", "seed=3", "callbacks=[sharpness]", "callbacks.sharpness.figures=false"],
]
"""Jobs as unlike as can be, so that what one leaves behind would show in another."""


@pytest.fixture(scope="module")
def different():
    return [compose(*SMALL, *own) for own in DIFFERENT]


def test_jobs_in_another_order_have_the_same_bits(different):
    orders = [(0, 1, 2), (2, 1, 0), (1, 2, 0)]
    outcomes = [{index: train_alone(different[index]) for index in order} for order in orders]
    for other, index in itertools.product(outcomes[1:], range(3)):
        assert_same_bits(other[index], outcomes[0][index], DIFFERENT[index])


def test_a_job_in_a_fresh_process_has_the_same_bits(different, processes, tmp_path):
    for index, config in enumerate(different):
        where = tmp_path / str(index)
        ended = processes.train([config], where)
        assert ended.code == 0, ended.output
        assert_same_bits(read(where / "0"), train_together([config])[0], DIFFERENT[index])


def test_members_in_another_order_or_company_are_equal():
    configs = draw("wide_and_narrow", 3).configs
    whole = train_together(configs)
    backwards = train_together(configs[::-1])[::-1]
    for index, config in enumerate(configs):
        nudged = lambda seed, c=config: train_alone(c, nudge=seed)  # noqa: E731
        assert_equal(backwards[index], whole[index], nudged, f"job {index}, backwards")
    for company in ([0, 1], [2, 3]):
        for index, one in zip(company, train_together([configs[i] for i in company]), strict=True):
            nudged = lambda seed, c=configs[index]: train_alone(c, nudge=seed)  # noqa: E731
            assert_equal(one, whole[index], nudged, f"job {index} in another company")


# At the command line -------------------------------------------------------------------------------------

SWEEP = ["-m", "seed=range(4)", "model.width=3,7", *FLOAT64, *SMALL, "hydra.sweep.dir=sweep"]
SERIAL = "hydra/launcher=serial"


def results(folder: Path) -> dict[str, Outcome]:
    """Return the outcomes of a sweep's jobs by their identities."""
    paths = folder.glob("sweep/*/result.json")
    return {json.loads(path.read_text())["identity"]: read(path.parent) for path in paths}


@pytest.fixture(scope="module")
def swept(processes, tmp_path_factory):
    """The outcomes of the sweep on the serial path, uninterrupted."""
    folder = tmp_path_factory.mktemp("serial")
    ended = processes.command(*SWEEP, SERIAL, cwd=folder)
    assert ended.code == 0, ended.output
    assert len(results(folder)) == 8
    return results(folder)


def assert_all_equal(found: dict[str, Outcome], expected: dict[str, Outcome], *, bits: bool) -> None:
    assert found.keys() == expected.keys()
    for name, outcome in found.items():
        if bits:
            assert_same_bits(outcome, expected[name], name)
        else:
            assert_equal(outcome, expected[name], None, name)


@pytest.mark.slow
def test_a_sweep_in_two_calls_and_another_order(processes, swept, tmp_path):
    for seeds in ("3,2", "1,0"):
        changed = [*SWEEP, f"seed={seeds}", "model.width=7,3", SERIAL]
        changed.remove("seed=range(4)")
        changed.remove("model.width=3,7")
        ended = processes.command(*changed, cwd=tmp_path)
        assert ended.code == 0, ended.output
    assert_all_equal(results(tmp_path), swept, bits=True)


@pytest.mark.slow
@pytest.mark.parametrize("at", [40, 90, 130])
def test_a_serial_sweep_killed_and_resumed_has_the_same_bits(at, processes, swept, tmp_path):
    ended = processes.command(*SWEEP, SERIAL, cwd=tmp_path, fault=Fault("kill", at, str(tmp_path)))
    assert ended.code == -9
    done = {path: path.read_bytes() for path in tmp_path.glob("sweep/*/result.json")}
    assert len(done) < 8
    ended = processes.command(*SWEEP, SERIAL, cwd=tmp_path)
    assert ended.code == 0, ended.output
    assert_all_equal(results(tmp_path), swept, bits=True)
    for path, content in done.items():
        assert path.read_bytes() == content, "a finished job was trained again"


@pytest.mark.slow
@pytest.mark.parametrize("at", [5, 60, 120])
def test_a_stacked_sweep_killed_and_resumed(at, processes, swept, tmp_path):
    """With the same members the same bits; where some had finished the others are another stack."""
    uninterrupted = tmp_path / "whole"
    ended = processes.command(*SWEEP, cwd=uninterrupted)
    assert ended.code == 0, ended.output
    assert_all_equal(results(uninterrupted), swept, bits=False)
    folder = tmp_path / "killed"
    ended = processes.command(*SWEEP, cwd=folder, fault=Fault("kill", at, str(folder)))
    assert ended.code == -9
    done = {path: path.read_bytes() for path in folder.glob("sweep/*/result.json")}
    ended = processes.command(*SWEEP, cwd=folder)
    assert ended.code == 0, ended.output
    assert_all_equal(results(folder), results(uninterrupted), bits=not done)
    for path, content in done.items():
        assert path.read_bytes() == content, "a finished job was trained again"


@pytest.mark.slow
@pytest.mark.parametrize(
    "executor",
    [
        ["hydra.launcher.workers=2"],
        ["hydra.launcher.memory_gib=0.00002"],
        ["hydra.launcher.memory_gib=0.00002", "hydra.launcher.workers=2"],
    ],
    ids=["two workers", "small groups", "both"],
)
def test_workers_and_the_memory_budget_change_no_result(executor, processes, swept, tmp_path):
    ended = processes.command(*SWEEP, *executor, cwd=tmp_path)
    assert ended.code == 0, ended.output
    assert_all_equal(results(tmp_path), swept, bits=False)


@pytest.mark.slow
@pytest.mark.parametrize("stratum", ["barrier_to_twin", "pruning_mixed", "raises", "divergence"])
def test_a_draw_runs_as_the_command_that_it_prints(stratum, processes, tmp_path):
    drawn = draw(stratum, 1)
    arguments = [*drawn.arguments, "hydra.sweep.dir=sweep", "logger=none", "trainer.accelerator=cpu"]
    processes.command(*arguments, cwd=tmp_path)
    found = {}
    for path in tmp_path.glob("sweep/*/result.json"):
        found[json.loads(path.read_text())["config"]["arm"]] = read(path.parent)
    assert len(found) == len(drawn.members)
    for arm, config in zip(sorted(found), drawn.configs, strict=True):
        nudged = lambda seed, c=config: train_alone(c, nudge=seed)  # noqa: E731
        assert_equal(found[arm], train_alone(config), nudged, f"{drawn}\narm {arm}")
