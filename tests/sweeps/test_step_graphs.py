"""Recorded steps: a tape that plays operations back on the same memory stands in for a CUDA graph."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dlexp.sweeps.buckets import partition
from dlexp.sweeps.lockstep import Lockstep
from dlexp.sweeps.step_graphs import WARM_UP_STEPS
from dlexp.sweeps.train_group import make_member, train_group
from dlexp.training.build import make_datamodule

CPU = torch.device("cpu")
COMMON = [
    "data.n_train=20",
    "data.batch_size=8",
    "model.activation=tanh",
    "trainer.max_steps=30",
]  # batches of 8, 8, 4
KINDS = {
    "adam, cosine": ["optimizer=adam", "optimizer.schedule=cosine"],
    "adamw": ["optimizer=adamw", "optimizer.weight_decay=0.1"],
    "sgd with momentum": ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.schedule=linear"],
    "sgd": ["optimizer=sgd"],
}
MEMBERS = (["model.width=3"], ["model.width=40", "optimizer.lr=0.02"], ["model.width=3", "seed=1"])


class Tape(TorchDispatchMode):
    """Writes down each operation with its tensors, and does them again on these: what a CUDA graph does."""

    def __init__(self, lockstep=None):
        super().__init__()
        self.operations = []
        self.warm_ups = self.plays = 0
        self.lockstep = lockstep

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, out))
        return out

    def warm_up(self, function):
        self.warm_ups += 1
        function()

    def record(self, function):
        tensors = state(self.lockstep)
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
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if (
                    isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr()
                ):  # no view, not in place
                    old.copy_(new)


class NoTape(Tape):
    def record(self, function):
        raise RuntimeError("operation not permitted when stream is capturing")


class IdleTape(Tape):
    def record(self, function):
        return lambda: None


def state(lockstep):
    parameters = [p.detach() for bucket in lockstep.buckets for p in bucket.stack.parameters.values()]
    return [*parameters, *(v for own in lockstep.optimizer.state.values() for v in own.values())]


def members_of(compose_plain, overrides, dtype=torch.float32):
    configs = [compose_plain(*COMMON, *overrides, *own) for own in MEMBERS]
    return [make_member(config, make_datamodule(config), CPU, dtype) for config in configs]


def trained(compose_plain, overrides, recorder=None, dtype=torch.float32, steps=30, between=None):
    members = members_of(compose_plain, overrides, dtype)
    lockstep = Lockstep(partition(members), recorder=recorder)
    if recorder is not None:
        recorder.lockstep = lockstep
    lockstep.take_steps(0, steps // 2, members[0].schedule)
    if between:
        between(lockstep, members)
    lockstep.take_steps(steps // 2, steps, members[0].schedule)
    return {member.identity: member.network.state_dict() for member in members}


def assert_equal(one, other, tolerance):
    assert one.keys() == other.keys()
    for identity, weights in one.items():
        for name, value in weights.items():
            assert torch.allclose(value, other[identity][name], rtol=tolerance, atol=tolerance), name


@pytest.mark.parametrize("kind", KINDS)
def test_recorded_steps_are_the_plain_ones(kind, compose_plain):
    tape = Tape()
    assert_equal(
        trained(compose_plain, KINDS[kind], tape), trained(compose_plain, KINDS[kind]), tolerance=1e-5
    )
    assert tape.warm_ups == 2 * WARM_UP_STEPS  # two sizes of batches
    assert tape.plays == 30 - tape.warm_ups  # the step that a recording is checked by is played and taken


def test_in_double_precision_constant_rates_are_recorded_and_others_are_not(compose_plain):
    for schedule, plays in (("constant", 26), ("cosine", 0)):
        tape, overrides = Tape(), ["optimizer=adam", f"optimizer.schedule={schedule}"]
        recorded = trained(compose_plain, overrides, tape, torch.float64)
        assert_equal(recorded, trained(compose_plain, overrides, dtype=torch.float64), tolerance=1e-12)
        assert tape.plays == plays


def test_a_fresh_optimizer_and_new_masks_are_recorded_anew(compose_plain):
    def prune(lockstep, members):
        for member in members:
            member.masks = {"hidden_1.weight": (member.network.hidden_1.weight > 0).float()}
            member.apply_masks()
        lockstep.take_masks()
        lockstep.forget_moments()

    for kind in ("adam, cosine", "sgd with momentum"):
        recorded = trained(compose_plain, KINDS[kind], Tape(), between=prune)
        plain = trained(compose_plain, KINDS[kind], between=prune)
        assert_equal(recorded, plain, tolerance=1e-5)
        assert any((weights["hidden_1.weight"] == 0).any() for weights in recorded.values())


@pytest.mark.parametrize(("tape", "reason"), [(NoTape, "not permitted"), (IdleTape, "differs from a plain")])
def test_what_cannot_be_recorded_or_does_something_else_is_trained_plainly(
    tape, reason, compose_plain, caplog
):
    assert_equal(
        trained(compose_plain, KINDS["adamw"], tape()), trained(compose_plain, KINDS["adamw"]), tolerance=1e-5
    )
    assert caplog.text.count(reason) == 2  # once for each size of batches


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", KINDS)
def test_a_group_on_a_gpu_is_recorded_and_equals_the_cpu(kind, compose_plain, caplog):
    def run(accelerator):
        own = ["logger=none", f"trainer.accelerator={accelerator}", "trainer.max_steps=30"]
        return train_group([compose_plain(*COMMON, *KINDS[kind], *own, *v) for v in MEMBERS])

    for one, other in zip(run("cpu").values(), run("gpu").values(), strict=True):
        for name, value in one.recorder.final.items():
            assert other.recorder.final[name] == pytest.approx(value, rel=1e-3)
    assert "not recorded" not in caplog.text
