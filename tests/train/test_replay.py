"""Foreign networks in a stack: each trains as it does alone, or is denied; none is silently wrong."""

import itertools
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlexp.train.replay import rules
from dlexp.train.replay.engine import Replay
from dlexp.train.replay.record import Unstackable
from tests.thinned import thinned
from tests.train.replayed import (
    fresh,
    largest_difference,
    members_of,
    trained_by_loops,
)
from tests.zoo.animals import ANIMALS, SHAPES, Applied

STEPS = 6
COUNTS = {"calls": 0}


def rows(kind="rows"):
    generator = torch.Generator().manual_seed(2)
    if kind == "tokens":
        return torch.randint(5, (6, 4), generator=generator)
    return torch.randn(*SHAPES[kind], dtype=torch.float64, generator=generator)


def verdict(members):
    """Train members by replaying and by themselves; return why they are denied, None if they are not.

    Fails if they are not denied and differ in any number.
    """
    alone = trained_by_loops(members, STEPS)
    reason = next((reason for reason in map(Replay.why_not, members) if reason is not None), None)
    if reason is not None:
        return reason
    if len({Replay.group_key(member) for member in members}) > 1:
        return "not alike"
    try:
        engine = Replay(members, {})
    except Exception as error:
        return str(error)
    engine.advance(0, STEPS)
    assert largest_difference(members, alone) < 1e-12
    assert engine.differences(STEPS) == {}
    for split in ("train", "test"):
        for name, values in engine.evaluate(split).items():
            for position, member in enumerate(alone):
                assert values[position].item() == pytest.approx(
                    member.evaluate(split)[name].item(), rel=1e-11
                )
    for position, member in enumerate(alone):
        trained = torch.cat([p.detach().flatten() for p in member.network.parameters() if p.requires_grad])
        assert engine.norms()[position].item() == pytest.approx(trained.norm().item(), rel=1e-12)
    return None


def tanh_of(change=None, **members):
    """Return what makes a network of one layer whose outputs are changed."""
    return lambda: Applied(
        change or (lambda self, x: torch.tanh(self.layer(x))), layer=nn.Linear(3, 2), **members
    )


def _count(self, x):
    COUNTS["calls"] += 1
    return self.layer(x) * COUNTS["calls"]


class _ByClass:
    calls = 0


def _next_call():
    _ByClass.calls += 1
    return _ByClass.calls


def _late(calls):
    """Return a forward that is another one after many calls, counted outside of the network."""
    return lambda self, x: self.layer(x) * (2.0 if calls() > 10**6 else 1.0)


def _counted_by_dict():
    COUNTS["late"] = COUNTS.get("late", 0) + 1
    return COUNTS["late"]


GENERATOR = np.random.default_rng(0)


def _renormed():
    return nn.Sequential(nn.Embedding(5, 2, max_norm=0.1), nn.Flatten(), nn.Linear(8, 2))


def _clamped(self, x):
    self.layer.weight.data.clamp_(-0.1, 0.1)
    return self.layer(x)


def _written(self, x):
    x.add_(1.0)
    return self.layer(x)


def _counted(self, x):
    self.count += 1
    return self.layer(x)


def _recurrent_dropout():
    recurrent = nn.GRU(3, 2, num_layers=2, dropout=0.5, batch_first=True)
    return Applied(lambda self, x: self.recurrent(x)[0][:, -1], recurrent=recurrent)


def _attention_dropout(self, x):
    q, k, v = self.layer(x).split(2, dim=-1)
    return F.scaled_dot_product_attention(q, k, v, dropout_p=0.5)[:, 0]


DENIED = {
    "RReLU": (lambda: nn.Sequential(nn.Linear(3, 2), nn.RReLU()), "rows"),
    "alpha dropout": (lambda: nn.Sequential(nn.Linear(3, 2), nn.AlphaDropout(0.5)), "rows"),
    "feature dropout": (lambda: nn.Sequential(nn.Linear(3, 2), nn.FeatureAlphaDropout(0.5)), "rows"),
    "GRU with dropout": (_recurrent_dropout, "sequences"),
    "attention with dropout": (
        lambda: Applied(_attention_dropout, layer=nn.Linear(3, 6)),
        "sequences",
    ),
    "randn": (tanh_of(lambda self, x: self.layer(x) + torch.randn(2)), "rows"),
    "numpy": (tanh_of(lambda self, x: self.layer(x) * np.random.rand()), "rows"),  # noqa: NPY002
    "random": (tanh_of(lambda self, x: self.layer(x) * random.random()), "rows"),
    "a global counter": (tanh_of(_count), "rows"),
    "a counter of a class, of effect late": (tanh_of(_late(_next_call)), "rows"),
    "a global counter, of effect late": (tanh_of(_late(_counted_by_dict)), "rows"),
    "a counter of a closure's, of effect late": (tanh_of(_late(itertools.count().__next__)), "rows"),
    "a global generator, of effect rarely": (tanh_of(_late(GENERATOR.random)), "rows"),
    "BatchNorm, cumulative": (
        lambda: nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, momentum=None)),
        "rows",
    ),
    "a counting buffer": (tanh_of(_counted, count=torch.zeros(())), "rows"),
    "a parameter clamped in forward": (tanh_of(_clamped), "rows"),
    "max_norm": (_renormed, "tokens"),
    "numpy in between": (
        tanh_of(lambda self, x: self.layer(x) * float(np.abs(x.numpy()).mean())),
        "rows",
    ),
}


@pytest.mark.parametrize("name", thinned(DENIED, 2))
def test_what_a_stack_would_train_otherwise_is_denied(name):
    make, kind = DENIED[name]
    reason = verdict(members_of(fresh(make), rows(kind), batch_size=4))
    assert reason is not None


def test_sparse_gradients_are_denied():
    sparse = fresh(lambda: nn.Sequential(nn.Embedding(5, 2, sparse=True), nn.Flatten(), nn.Linear(8, 2)))
    with pytest.raises((Unstackable, RuntimeError)):
        Replay(members_of(sparse, rows("tokens")), {})


def test_written_inputs_are_denied():
    members = members_of(fresh(tanh_of(_written)), rows())
    with pytest.raises(Unstackable, match="writes to its parameters, buffers or inputs"):
        Replay(members, {})


UNLIKE = {
    "a number": lambda network, i: setattr(network, "factor", 1.0 + i),
    "a list": lambda network, i: setattr(network, "factor", [1.0 + i][0] if i else 1.0),
    "a tensor": lambda network, i: setattr(network, "factor", torch.tensor(1.0 + i, dtype=torch.float64)),
    "a hidden number": lambda network, i: setattr(network, "function", _times(1.0 + i)),
    "frozen in one": lambda network, i: network.layer.bias.requires_grad_(i != 1),
    "a hook on one": lambda network, i: i != 1 or network.layer.register_forward_hook(lambda m, a, o: 2 * o),
    "a parameter's hook on one": lambda network, i: (
        i != 1 or network.layer.weight.register_post_accumulate_grad_hook(lambda p: p.grad.mul_(2))
    ),
}


def _times(factor):
    return lambda self, x: factor * self.layer(x)


@pytest.mark.parametrize("name", UNLIKE)
@pytest.mark.parametrize("trusting", [False, True])
def test_members_that_are_unlike_are_denied(name, trusting, monkeypatch):
    """Also where their names, shapes and attributes do not show it."""
    networks = fresh(tanh_of(lambda self, x: self.factor * self.layer(x), factor=1.0))
    for position, network in enumerate(networks):
        UNLIKE[name](network, position)
    if trusting and "hook" not in name:
        monkeypatch.setattr(Replay, "group_key", staticmethod(lambda member: 0))
    assert verdict(members_of(networks, rows(), batch_size=4)) is not None


MUST_BE_REPLAYED = """mlp|tied weights|PReLU|softmax|residual|LayerNorm|attention|multi-head attention|conv1d
conv2d|GRU|embedding|integer buffer|weight norm|own autograd function|gradient inside|unused parameter
shared layer|scalar parameter|list of parameters|frozen layer|hook on a tensor
BatchNorm of the batch|linear solve"""
REPLAYED = MUST_BE_REPLAYED.replace("\n", "|").split("|")
UNTRAINABLE = ("weight norm, old", "pruned", "holds a lock", "returns a tuple", "half precision")
UNTRAINABLE += ("squeezed", "sequence of outputs")
QUICK = ("tied weights", "PReLU", "embedding", "BatchNorm, training", "unused parameter", "branch on weights")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in ANIMALS if n not in UNTRAINABLE],
)
def test_a_foreign_network_trains_as_alone_or_is_denied(name):
    # By SGD: Adam makes steps of the rounding where a gradient is 0, as of a bias before a normalisation.
    animal = ANIMALS[name]
    reason = verdict(members_of(fresh(animal.make), animal.data(), batch_size=4))
    assert (reason is None) >= (name in REPLAYED), reason


LATE = {"on": False}


def test_what_changes_late_is_found_at_a_log_point():
    members = members_of(
        fresh(tanh_of(lambda self, x: self.layer(x) * (2.0 if LATE["on"] else 1.0))), rows(), batch_size=4
    )
    engine = Replay(members, {})
    engine.advance(0, 3)
    assert engine.differences(3) == {}
    LATE["on"] = True
    found = engine.differences(3)
    LATE["on"] = False
    assert found.keys() == set(members)


class _LateGradient(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient * (2.0 if LATE["on"] else 1.0)


def test_a_gradient_that_changes_late_is_found_at_a_log_point():
    members = members_of(fresh(tanh_of(lambda self, x: _LateGradient.apply(self.layer(x)))), rows())
    engine = Replay(members, {})
    LATE["on"] = True
    found = engine.differences(1)
    LATE["on"] = False
    assert found.keys() == set(members)


def _zero_last_layer():
    network = nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(20, 4), nn.Tanh(), nn.Linear(4, 1)
    )
    nn.init.zeros_(network[-1].weight)
    return network


BREAKS = {
    "members permuted": lambda t: t.roll(1, dims=0),
    "a little off": lambda t: t * (1 + 1e-8),
    "one member off": lambda t: torch.cat([t[:1] * 1.001, t[1:]]),
}


@pytest.mark.parametrize("how", thinned(BREAKS, 3))
@pytest.mark.parametrize("rule", ["mm", "addmm", "convolution", "convolution_backward"])
def test_a_broken_rule_is_denied(rule, how, monkeypatch):
    call = getattr(torch.ops.aten, rule).default
    right = rules.RULES[call]

    def broken(*arguments, **options):
        made = right(*arguments, **options)
        if isinstance(made, rules.Stacked):
            return rules.Stacked(BREAKS[how](made.tensor))
        return [None if part is None else rules.Stacked(BREAKS[how](part.tensor)) for part in made]

    monkeypatch.setitem(rules.RULES, call, broken)
    with pytest.raises(Unstackable, match="differs"):
        Replay(members_of(fresh(_zero_last_layer), rows("series")), {})
