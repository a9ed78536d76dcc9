"""Recorded steps: a tape that plays operations back on the same memory stands in for a CUDA graph."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dlexp.train.stacks.engine import Stacks
from dlexp.train.stacks.step_graphs import WARM_UP_STEPS

COMMON = ["data.batch_size=8", "model.activation=tanh"]  # of 20 rows: batches of 8, 8, 4
KINDS = {
    "adam, cosine": ["optimizer=adam", "optimizer.schedule=cosine"],
    "adamw": ["optimizer=adamw", "optimizer.weight_decay=0.1"],
    "sgd with momentum": ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.schedule=linear"],
    "sgd": ["optimizer=sgd"],
}
MEMBERS = (["model.width=3"], ["model.width=40", "optimizer.lr=0.02"], ["model.width=3", "seed=1"])


class Tape(TorchDispatchMode):
    """Writes down each operation with its tensors, and does them again on these: what a CUDA graph does."""

    def __init__(self):
        super().__init__()
        self.operations = []
        self.warm_ups = self.plays = 0
        self.stacks = None

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, out))
        return out

    def warm_up(self, function):
        self.warm_ups += 1
        function()

    def record(self, function):
        tensors = [t for bucket in self.stacks.buckets for t in bucket.optimizer.tensors()]
        before = [tensor.clone() for tensor in tensors]
        tape = Tape()
        with tape:
            function()
        for tensor, value in zip(tensors, before, strict=True):  # a graph does nothing while it is recorded
            tensor.copy_(value)
        return lambda: self.play(tape.operations)

    @torch.no_grad()
    def play(self, operations):
        self.plays += 1
        for func, args, kwargs, out in operations:
            for old, again in zip(tree_leaves(out), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != again.data_ptr():
                    old.copy_(again)  # neither a view nor in place


class NoTape(Tape):
    def record(self, function):
        raise RuntimeError("operation not permitted when stream is capturing")


class IdleTape(Tape):
    def record(self, function):
        return lambda: None


def prune(stacks, members):
    members[1].masks = {"hidden_1.weight": (members[1].network.hidden_1.weight > 0).to(torch.float64)}
    members[1].apply_masks()
    stacks.refresh(members[1], forget=True)


def trained(make, overrides, tape=None, between=None):
    members = [make(*COMMON, *overrides, *own) for own in MEMBERS]
    stacks = Stacks(members, {}, recorder=tape)
    if tape is not None:
        tape.stacks = stacks
    stacks.advance(0, 15)
    if between:
        between(stacks, members)
    stacks.advance(15, 30)
    return [(member.network.state_dict(), stacks.state(member)) for member in members]


def assert_equal(found, expected):
    for (weights, state), (other_weights, other_state) in zip(found, expected, strict=True):
        for name, value in other_weights.items():
            assert torch.allclose(weights[name], value, rtol=1e-10, atol=1e-12), name
        assert state.keys() == other_state.keys()
        for name, own in other_state.items():
            assert all(torch.allclose(state[name][k], v, rtol=1e-10, atol=1e-12) for k, v in own.items())


@pytest.mark.parametrize("kind", KINDS)
def test_recorded_steps_are_the_plain_ones(kind, member_of):
    tape = Tape()
    assert_equal(trained(member_of, KINDS[kind], tape), trained(member_of, KINDS[kind]))
    assert tape.warm_ups == 2 * WARM_UP_STEPS  # two sizes of batches
    assert tape.plays == 30 - tape.warm_ups  # the step that a recording is checked by is played and taken


@pytest.mark.parametrize("kind", KINDS)
def test_new_masks_and_an_optimizer_that_begins_anew_are_recorded_anew(kind, member_of):
    tape = Tape()
    recorded = trained(member_of, KINDS[kind], tape, between=prune)
    assert_equal(recorded, trained(member_of, KINDS[kind], between=prune))
    assert tape.warm_ups == 4 * WARM_UP_STEPS
    assert (recorded[1][0]["hidden_1.weight"] == 0).sum() > 10


@pytest.mark.parametrize(("tape", "reason"), [(NoTape, "not permitted"), (IdleTape, "differs from a plain")])
def test_what_cannot_be_recorded_or_does_something_else_is_trained_plainly(tape, reason, member_of, caplog):
    assert_equal(trained(member_of, KINDS["adamw"], tape()), trained(member_of, KINDS["adamw"]))
    assert caplog.text.count(reason) == 2  # once for each size of batches


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", KINDS)
def test_a_sweep_on_a_gpu_is_recorded_and_equals_the_cpu(kind, small, tmp_path, caplog):
    from dlexp.train.job import run_tasks
    from dlexp.train.job_folder import Task

    def run(accelerator):
        own = [*COMMON, *KINDS[kind], f"trainer.accelerator={accelerator}", "trainer.precision=64-true"]
        configs = [small(*own, *overrides) for overrides in MEMBERS]
        return run_tasks([Task(c, [], tmp_path / f"{accelerator}{i}") for i, c in enumerate(configs)])

    for one, other in zip(run("cpu"), run("gpu"), strict=True):
        assert other.metrics == pytest.approx(one.metrics, rel=1e-9)
    assert "not recorded" not in caplog.text
