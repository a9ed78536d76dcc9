"""The gradients of a stack against autograd's of each network alone, in float64 to rounding."""

import copy

import pytest
import torch
from torch import nn

from dlexp.losses import CLASSIFICATION, LOSSES, Loss
from dlexp.measures.chain import ACTIVATIONS
from dlexp.models.mlp import MLP
from dlexp.seeding import make_generator
from dlexp.train.stacks.gradients import Gradients
from dlexp.train.stacks.stack import Stack

FOURTH_POWER = Loss("fourth_power", "", ("regression",), lambda f, y: ((f - y) ** 4).mean(dim=-1))
"""A loss that publishes no derivative."""

MODULES = {
    **{kind.__name__: kind for kind in ACTIVATIONS if kind is not nn.Threshold},
    "Threshold": lambda: nn.Threshold(0.1, 0.7),
    "LeakyReLU in place": lambda: nn.LeakyReLU(0.2, inplace=True),
    "no activation": None,
}


def networks(activation, parametrization, *, bias, on_outputs=False):
    found = []
    for width in (3, 1, 7):
        network = MLP(input_dim=4, width=width, depth=2, output_dim=2, parametrization=parametrization,
                      readout_bias=bias, bias_std=0.3, random_bias=True,
                      generator=make_generator("model", width))  # fmt: skip
        for name in ("activation_1", "activation_2"):
            if activation is None:
                delattr(network, name)
            else:
                setattr(network, name, activation())
        if on_outputs and activation is not None:
            network.append(activation())
        found.append(network.double())
    return found


def draw(loss, rows):
    generator = torch.Generator().manual_seed(rows)
    x = torch.randn(3, rows, 4, dtype=torch.float64, generator=generator)
    y = torch.randn(3, rows, 2, dtype=torch.float64, generator=generator)
    return x, y.argmax(dim=-1) if CLASSIFICATION in loss.tasks else y


def assert_gradients_are_autograds(members, loss):
    separate = copy.deepcopy(members)
    stack = Stack(members)
    gradients = Gradients(stack, loss)
    for rows in (5, 9, 2):  # the last batch of an epoch may be smaller; nothing is left of another's
        x, y = draw(loss, rows)
        gradients(x, y)
        left = stack.gradients.clone()
        for position, network in enumerate(separate):
            own = torch.autograd.grad(loss(network(x[position]), y[position]), list(network.parameters()))
            found = stack.gather(position, stack.gradients)
            for (name, _), expected in zip(network.named_parameters(), own, strict=True):
                assert torch.allclose(found[name], expected, rtol=1e-11, atol=1e-13), (name, rows)
                stack.blocks[name].of_member(left, position).zero_()
        assert not left.any(), "padding has a gradient"


@pytest.mark.parametrize("parametrization", ["standard", "ntk", "mup"])
@pytest.mark.parametrize("activation", MODULES)
def test_gradients_are_autograds(activation, parametrization):
    for loss in (*LOSSES.values(), FOURTH_POWER):
        for bias in (True, False):
            members = networks(MODULES[activation], parametrization, bias=bias)
            assert_gradients_are_autograds(members, loss)


@pytest.mark.parametrize("activation", ["ReLU", "Tanh", "Sigmoid", "GELU", "Identity", "LeakyReLU in place"])
@pytest.mark.parametrize("loss", [*LOSSES.values(), FOURTH_POWER], ids=lambda loss: loss.name)
def test_an_activation_may_stand_on_the_outputs(activation, loss):
    members = networks(MODULES[activation], "standard", bias=True, on_outputs=True)
    assert_gradients_are_autograds(members, loss)


def test_a_member_that_is_not_finite_leaves_the_others_alone():
    found = []
    for poison in (1.0, torch.nan):
        members = networks(nn.Tanh, "standard", bias=True)
        with torch.no_grad():
            members[1].readout.weight.mul_(poison)
        stack = Stack(members)
        Gradients(stack, LOSSES["mse"])(*draw(LOSSES["mse"], 6))
        found.append([stack.gather(position, stack.gradients) for position in (0, 1, 2)])
    sound, poisoned = found
    assert poisoned[1]["readout.bias"].isnan().all()
    for position in (0, 2):
        assert all(torch.equal(poisoned[position][name], value) for name, value in sound[position].items())
