"""A group that was stopped after a snapshot ends as if it had never been stopped, to the last bit."""

import contextlib
import random

import pytest

from dlexp.records import snapshots
from tests.laws.comparison import assert_same_bits
from tests.laws.runs import compose, train_with_snapshots
from tests.laws.strata import ALONE, STRATA, draw
from tests.thinned import thinned

MINUTES = 1e-9  # between snapshots: one whenever one can be


class Stopped(BaseException):
    """What ends a process from outside."""


class Stop:
    """Writes snapshots; stops the process after the one of a number, counted from 1."""

    def __init__(self, after=0):
        self.after, self.written, self._write = after, 0, snapshots.write

    def __call__(self, *arguments):
        self._write(*arguments)
        self.written += 1
        if self.written == self.after:
            raise Stopped


def check(configs, folder, monkeypatch, *, engine=None, seed=0):
    """Train jobs without snapshots, with, and stopped two times; return how many snapshots they left."""
    rng = random.Random(seed)
    plain = train_with_snapshots(configs, folder / "plain", None, engine=engine)
    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "write", stop := Stop())
        watched = train_with_snapshots(configs, folder / "watched", MINUTES, engine=engine)
    for _ in range(2):
        with monkeypatch.context() as patched, contextlib.suppress(Stopped):
            patched.setattr(snapshots, "write", Stop(after=rng.randint(1, max(stop.written, 1))))
            train_with_snapshots(configs, folder / "stopped", MINUTES, engine=engine)
    resumed = train_with_snapshots(configs, folder / "stopped", MINUTES, engine=engine)
    for index, outcome in enumerate(plain):
        assert_same_bits(watched[index], outcome, f"job {index} with snapshots")
        assert_same_bits(resumed[index], outcome, f"job {index} stopped")
    assert not list(folder.glob("*/snapshots"))
    assert stop.written == 0 or any("goes on from a snapshot" in one.log for one in resumed)
    return stop.written


QUICK = ("pruning_mixed", "two_callbacks")


@pytest.mark.parametrize("stratum", QUICK)
def test_a_stopped_group_goes_on(stratum, tmp_path, monkeypatch):
    assert check(draw(stratum, 0).configs, tmp_path, monkeypatch) > 0


@pytest.mark.slow
@pytest.mark.parametrize("engine", [None, "loop"])
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("stratum", [*STRATA, *ALONE])
def test_more_stopped_groups_go_on(stratum, number, engine, tmp_path, monkeypatch):
    check(draw(stratum, number).configs, tmp_path, monkeypatch, engine=engine, seed=number)


SMALL = ["data.n_train=20", "data.n_test=9", "data.input_dim=4", "data.batch_size=6", "trainer.max_steps=30"]


@pytest.mark.parametrize("network", thinned(["dropout", "heedless", "Functional", "Annealed"], 3))
def test_a_network_of_ones_own_that_draws_goes_on(network, tmp_path, monkeypatch):
    own = ["model=linear", f"model._target_=tests.laws.foreign.{network}", "model.width=6"]
    config = compose(*own, *SMALL)
    assert check([config], tmp_path, monkeypatch) > 0


@pytest.mark.parametrize(
    "network", ["layer_norm", *(pytest.param(name, marks=pytest.mark.slow) for name in ("prelu", "frozen"))]
)
def test_networks_whose_step_is_replayed_go_on(network, tmp_path, monkeypatch):
    own = ["model=linear", f"model._target_=tests.laws.foreign.{network}", "training.engine=replay"]
    configs = [compose(*own, *SMALL, "model.width=6", f"seed={seed}") for seed in (0, 1, 2)]
    assert check(configs, tmp_path, monkeypatch) > 0


def test_a_measure_that_is_a_function_goes_on(tmp_path, monkeypatch):
    measure = ["callbacks=function", "callbacks.function.function=tests.laws.foreign.largest_weight"]
    configs = [compose(*SMALL, *measure, f"seed={seed}") for seed in (0, 1)]
    assert check(configs, tmp_path, monkeypatch) > 0


SCRIPTED = ["model=linear", "model._target_=tests.laws.foreign.scripted", "model.width=6"]
OWN_OPTIMIZER = ["optimizer.name=null", "optimizer._target_=tests.laws.foreign.Lazy"]


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["trainer.max_time=00:01:00:00"], "Lightning's hooks are called in each step"),
        (["+callbacks.mine._target_=tests.laws.foreign.Plain"], "the callback Plain is not one of dlexp's"),
        (["+callbacks.mine._target_=tests.laws.foreign.Secretive"], "a builtins.function"),
        (SCRIPTED, "the network's module '1' is TorchScript"),
        (OWN_OPTIMIZER, "what optimizer._target_=tests.laws.foreign.Lazy"),
    ],
)
def test_what_cannot_be_kept_is_said(overrides, reason, tmp_path):
    (outcome,) = train_with_snapshots([compose(*SMALL, *overrides)], tmp_path, MINUTES)
    assert outcome.status == "done"
    assert f"no snapshot of its group: {reason}" in outcome.log


def test_a_job_that_ended_after_the_snapshot_is_not_written_again(tmp_path, monkeypatch):
    configs = draw("one_by_one", 1).configs
    whole = train_with_snapshots(configs, tmp_path / "whole", None)
    first, *_, last = sorted(range(len(configs)), key=lambda index: whole[index].step)
    assert whole[first].step < whole[last].step

    class Later(Stop):
        def __call__(self, *arguments):
            if not (tmp_path / str(first) / "result.json").exists():
                self._write(*arguments)
            else:
                raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "write", Later())
        with pytest.raises(Stopped):
            train_with_snapshots(configs, tmp_path, MINUTES)
    written = (tmp_path / str(first) / "result.json").stat().st_mtime_ns
    resumed = train_with_snapshots(configs, tmp_path, MINUTES)
    for one, other in zip(resumed, whole, strict=True):
        assert_same_bits(one, other)
    assert (tmp_path / str(first) / "result.json").stat().st_mtime_ns == written


@pytest.mark.parametrize("damage", thinned(["cut", "flipped", "version", "engine", "jobs", "rubbish"], 3))
def test_a_snapshot_that_does_not_fit_is_not_used(damage, tmp_path, monkeypatch):
    configs = draw("plain", 1).configs
    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "write", Stop(after=2))
        with pytest.raises(Stopped):
            train_with_snapshots(configs, tmp_path, MINUTES)
    (path,) = (tmp_path / "snapshots").iterdir()
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-9])
    elif damage == "flipped":
        path.write_bytes(content[:-200] + bytes([content[-200] ^ 1]) + content[-199:])
    elif damage == "version":
        path.write_bytes(content.replace(b'"torch": "', b'"torch": "0', 1))
    elif damage == "rubbish":
        path.write_bytes(b"[" * 100_000)
    used = configs[:-1] if damage == "jobs" else configs
    engine = "loop" if damage == "engine" else None
    outcomes = train_with_snapshots(used, tmp_path, MINUTES, engine=engine)
    assert [one.status for one in outcomes] == ["done"] * len(used)
    assert not any("goes on" in one.log for one in outcomes)


def test_a_snapshot_runs_no_code_of_its_choosing(tmp_path):
    import torch

    from dlexp.train.attributes import Attributes

    attributes = Attributes({}, torch.nn.Linear(1, 1))
    for module, name in (
        ("os", "system"),
        ("subprocess", "Popen"),
        ("dlexp.records.files", "os"),
        ("dlexp.x", "Y"),
        ("dlexp.records.run", "Path"),
    ):
        with pytest.raises((ValueError, TypeError, AttributeError, ImportError)):
            attributes.restore(["object", module, name, ["list", ["echo"]]])
