"""The check of a stack against its members alone: it finds what is wrong, and nothing where nothing is."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlexp.losses import LOSSES
from dlexp.train.stacks import gradients, stack
from dlexp.train.stacks.bucket import Bucket
from dlexp.train.stacks.check import StackDifference, differences, require_equal_end
from dlexp.train.stacks.engine import Stacks
from dlexp.train.stacks.optimizers import StackOptimizer

OPTIMIZERS = [
    ["optimizer=sgd"],
    ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.weight_decay=0.01"],
    ["optimizer=adam", "optimizer.weight_decay=0.1"],
    ["optimizer=adamw", "optimizer.weight_decay=0.1"],
]
SOUND = {
    "widths": st.lists(st.integers(1, 40), min_size=1, max_size=5),
    "depth": st.integers(0, 3),
    "activation": st.sampled_from(["relu", "tanh", "gelu", "erf", "sigmoid", "linear"]),
    "parametrization": st.sampled_from(["standard", "ntk", "mup"]),
    "loss": st.sampled_from(["mse", "half_mse", "huber", "cross_entropy"]),
    "optimizer": st.sampled_from(OPTIMIZERS),
    "rates": st.lists(st.sampled_from([0.1, 1e-2, 1e-4]), min_size=5, max_size=5),
    "batch": st.sampled_from(["full", "8", "1"]),
    "dtype": st.sampled_from([torch.float32, torch.float64]),
    "steps": st.sampled_from([0, 1, 30]),
    "scale": st.sampled_from([1e-6, 1.0, 1e6]),
}


def members_of(make, widths, *overrides, rates=None, dtype=torch.float64):
    rates = rates or [0.01] * len(widths)
    return [
        make(*overrides, f"model.width={width}", f"optimizer.lr={rate}", f"seed={seed}", dtype=dtype)
        for seed, (width, rate) in enumerate(zip(widths, rates, strict=False))
    ]


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(**{key: value for key, value in SOUND.items() if key != "scale"}, scale=SOUND["scale"])
def test_no_alarm_is_false_and_nothing_is_changed(
    widths, depth, activation, parametrization, loss, optimizer, rates, batch, dtype, steps, scale, member_of
):
    data = ["data=gaussian_mixture"] if loss == "cross_entropy" else []
    model = [
        f"model.depth={depth}",
        f"model.activation={activation}",
        f"model.parametrization={parametrization}",
    ]
    rest = [f"training.loss={loss}", f"data.batch_size={batch}"]
    members = members_of(member_of, widths, *data, *model, *optimizer, *rest, rates=rates, dtype=dtype)
    for member in members:
        member.tensors.x_train.mul_(scale)
    stacks = Stacks(members, {})
    stacks.advance(0, steps)
    before = [[t.clone() for t in bucket.optimizer.tensors()] for bucket in stacks.buckets]
    assert differences(stacks, steps) == {}
    for bucket, tensors in zip(stacks.buckets, before, strict=True):
        assert bucket.optimizer.steps == steps
        assert all(
            map(lambda a, b: torch.equal(a.nan_to_num(), b.nan_to_num()), bucket.optimizer.tensors(), tensors)
        )
    metrics = {
        name: value.tolist() for split in ("train", "test") for name, value in stacks.evaluate(split).items()
    }
    for position, member in enumerate(stacks.members):
        require_equal_end(member, {name: value[position] for name, value in metrics.items()})


def scaled(memory, block_name, factor, position=1):
    """Multiply one member's part of one block."""

    def plant(stack):
        stack.blocks[block_name].of_member(getattr(stack, memory), position).mul_(factor)

    return plant


def wrong_gradient(monkeypatch, name, factor):
    right = gradients.Gradients.__call__

    def wrong(self, x, y):
        right(self, x, y)
        scaled("gradients", name, factor)(self.stack)

    monkeypatch.setattr(gradients.Gradients, "__call__", wrong)


def wrong_step(monkeypatch, change):
    right = StackOptimizer.step

    def wrong(self, factor=1.0):
        before = self.stack.values.clone()
        right(self, factor)
        change(self, before)

    monkeypatch.setattr(StackOptimizer, "step", wrong)


def wrong_setting(monkeypatch, **changed):
    right = StackOptimizer.__init__

    def wrong(self, stack, settings, *arguments, **keywords):
        own = [type(one)(**{**vars(one), **changed}) for one in settings]
        right(self, stack, own, *arguments, **keywords)

    monkeypatch.setattr(StackOptimizer, "__init__", wrong)


def wrong_loss(monkeypatch):
    mse = LOSSES["mse"]
    half = type(mse)(**{**vars(mse), "derivative": LOSSES["half_mse"].derivative})
    right = gradients.Gradients.__init__
    monkeypatch.setattr(gradients.Gradients, "__init__", lambda self, stack, loss: right(self, stack, half))


def _no_mask(*_):
    return None


def left_out(optimizer, before):
    optimizer.stack.scatter(1, optimizer.stack.values, optimizer.stack.gather(1, before))


DECAY = "optimizer.weight_decay=0.5"
FAULTS = {
    "a weight's gradient": ([], lambda m: wrong_gradient(m, "hidden_1.weight", 1.001)),
    "a bias's gradient": ([], lambda m: wrong_gradient(m, "readout.bias", 0.0)),
    "not a number": ([], lambda m: wrong_gradient(m, "readout.weight", math.nan)),
    "the loss's derivative": ([], wrong_loss),
    "padding that is not 0": (["model.activation=sigmoid"], lambda m: m.setattr(stack, "_mask", _no_mask)),
    "the rate": ([], lambda m: wrong_setting(m, lr=0.0101)),
    "momentum": (["optimizer=sgd", "optimizer.momentum=0.9"], lambda m: wrong_setting(m, momentum=0.8)),
    "decoupled decay": (["optimizer=adamw", DECAY], lambda m: wrong_setting(m, weight_decay=0.0)),
    "coupled decay": (["optimizer=adam", DECAY], lambda m: wrong_setting(m, weight_decay=0.0)),
    "betas": (["optimizer=adam"], lambda m: wrong_setting(m, betas=(0.9, 0.9))),
    "a member that is left out": ([], lambda m: wrong_step(m, left_out)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_before_the_first_step(fault, dtype, member_of, monkeypatch):
    overrides, plant = FAULTS[fault]

    def found():
        return differences(Stacks(members_of(member_of, (3, 5, 9), *overrides, dtype=dtype), {}), 0)

    assert found() == {}
    plant(monkeypatch)
    assert found()


def test_only_the_member_that_differs_is_named(member_of, monkeypatch):
    stacks = Stacks(members_of(member_of, (3, 3, 3)), {})
    wrong_gradient(monkeypatch, "hidden_1.weight", 2.0)
    (found,) = differences(stacks, 0).items()
    assert found[0] is stacks.members[1]
    assert found[1].startswith("the gradient of hidden_1.weight differs by ")


def test_masks_that_are_not_kept_are_found(member_of, monkeypatch):
    members = members_of(member_of, (3, 5))
    members[1].masks = {"hidden_1.weight": (members[1].network.hidden_1.weight > 0).double()}
    members[1].apply_masks()
    assert differences(Stacks(members, {}), 0) == {}
    monkeypatch.setattr(Bucket, "take_masks", lambda *_: None)
    assert list(differences(Stacks(members, {}), 0)) == [members[1]]


def test_differences_at_the_end_are_told(member_of):
    (member,) = members_of(member_of, (3,))
    stacks = Stacks([member], {})
    stacks.advance(0, 10)
    metrics = {f"{split}/loss": stacks.evaluate(split)[f"{split}/loss"].item() for split in ("train", "test")}
    require_equal_end(member, metrics)
    for split in ("train", "test"):
        for wrong in (1.0001, math.nan, math.inf):
            with pytest.raises(StackDifference, match=f"^{split}/loss is "):
                require_equal_end(member, {**metrics, f"{split}/loss": wrong * metrics[f"{split}/loss"]})
    with torch.no_grad():
        member.network.readout.weight.fill_(math.nan)
    require_equal_end(member, dict.fromkeys(metrics, math.nan))


@pytest.mark.parametrize("residual", [1e-3, 1e-5, 1e-7])
def test_networks_that_nearly_interpolate_raise_no_alarm(residual, member_of):
    members = members_of(member_of, [5, 30, 75, 200], "optimizer=adam", dtype=torch.float32)
    stream = torch.Generator().manual_seed(0)
    for member in members:
        with torch.no_grad():
            outputs = member(member.tensors.x_train)
        member.tensors.y_train.copy_(outputs + residual * torch.randn(outputs.shape, generator=stream))
    assert differences(Stacks(members, {}), 0) == {}


def test_sums_that_cancel_raise_no_alarm(member_of):
    members = members_of(member_of, [1, 4, 50], "data.n_train=200", dtype=torch.float32)
    for member in members:  # the best linear fit: the gradients of single rows cancel
        with torch.no_grad():
            for parameter in member.network.parameters():
                parameter.zero_()
            member.network.hidden_1.bias.fill_(1.0)
            member.network.readout.weight.fill_(1.0)
            outputs = member(member.tensors.x_train)
        noise = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        columns = torch.cat([torch.ones(200, 1), member.tensors.x_train], dim=1).double()
        residual = noise - columns @ torch.linalg.lstsq(columns, noise).solution
        member.tensors.y_train.copy_(outputs + residual)
    assert differences(Stacks(members, {}), 0) == {}
