"""The stack of networks: exact padding, views, gradients that stay apart."""

import pytest
import torch
from torch import nn

from dlexp.models.activations import ACTIVATIONS, Activation
from dlexp.models.linear import Linear
from dlexp.models.mlp import MLP
from dlexp.models.random_features import RandomFeatures
from dlexp.seeding import make_generator
from dlexp.sweeps.backpropagation import Backpropagation
from dlexp.sweeps.bucket import member_losses
from dlexp.sweeps.buckets import choose_buckets
from dlexp.sweeps.stack import Stack, is_stackable, unstack
from dlexp.training.losses import LOSSES


def networks(activation="relu", parametrization="standard", depth=2, readout_bias=True):
    return [
        MLP(
            input_dim=4,
            width=width,
            depth=depth,
            output_dim=2,
            activation=activation,
            parametrization=parametrization,
            bias_std=0.3,
            readout_bias=readout_bias,
            random_bias=parametrization == "ntk",
            generator=make_generator("model", width),
        ).double()
        for width in (3, 1, 7)
    ]


# As a user's own, whose derivative nobody wrote down: softplus(0) is not 0, so that padding needs its mask.
OWN_ACTIVATIONS = {"softplus": nn.Softplus, "in_place": lambda: nn.LeakyReLU(inplace=True)}


def draw(loss, rows, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, rows, 4, dtype=torch.float64, generator=generator)
    y = torch.randn(3, rows, 2, dtype=torch.float64, generator=generator)
    return x, y.argmax(dim=-1) if loss == "cross_entropy" else y


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("readout_bias", [True, False])
@pytest.mark.parametrize("parametrization", ["standard", "ntk", "mup"])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, *OWN_ACTIVATIONS])
def test_outputs_and_gradients_are_each_members_own(
    activation, parametrization, readout_bias, loss, monkeypatch
):
    for name, own in OWN_ACTIVATIONS.items():
        monkeypatch.setitem(ACTIVATIONS, name, Activation(name, own))
    members = networks(activation, parametrization, readout_bias=readout_bias)
    separate = networks(activation, parametrization, readout_bias=readout_bias)
    stack = Stack(members)
    backpropagation = Backpropagation(stack, loss)
    for rows in (5, 2, 9, 5):  # the last batch of an epoch may be smaller; nothing is left of another's
        x, y = draw(loss, rows, seed=rows)
        expected = [network(own) for network, own in zip(separate, x, strict=True)]
        for network, outputs, targets in zip(separate, expected, y, strict=True):
            network.zero_grad()
            LOSSES[loss](outputs, targets).backward()
        backpropagation(x, y)
        for position, (network, output) in enumerate(zip(separate, expected, strict=True)):
            assert torch.allclose(stack(x)[position], output, rtol=1e-13, atol=1e-13)
            for name, parameter in network.named_parameters():
                gradient = stack.parameters[name].grad[position].clone()
                own = stack.view_of_member(position, name, gradient)
                assert torch.allclose(own, parameter.grad, rtol=1e-12, atol=1e-13)
                own.zero_()
                assert not gradient.any()  # what is left is padding


def test_a_member_that_is_not_finite_leaves_the_others_alone():
    gradients = []
    for poison in (1.0, torch.nan):
        members = networks("tanh")
        with torch.no_grad():
            members[1].readout.weight.mul_(poison)
        stack = Stack(members)
        Backpropagation(stack, "mse")(*draw("mse", 6, seed=0))
        gradients.append({name: p.grad[[0, 2]] for name, p in stack.parameters.items()})
    for name, gradient in gradients[0].items():
        assert torch.equal(gradient, gradients[1][name])


def test_members_are_views():
    members = networks()
    stack = Stack(members)
    with torch.no_grad():
        for parameter in stack.parameters.values():
            parameter += 1
    own = networks()
    for member, alone in zip(members, own, strict=True):
        for name, parameter in alone.named_parameters():
            assert torch.equal(member.get_parameter(name), parameter + 1)
    with torch.no_grad():
        members[0].readout.bias.fill_(5.0)
    assert stack.parameters["readout.bias"][0].tolist() == [5.0, 5.0]


def test_a_network_taken_out_of_its_stack_no_longer_follows_it():
    members = networks()
    stack = Stack(members)
    unstack(members[2])
    with torch.no_grad():
        for parameter in stack.parameters.values():
            parameter += 1
    for member, alone, offset in zip(members, networks(), (1, 1, 0), strict=True):
        for name, parameter in alone.named_parameters():
            assert torch.equal(member.get_parameter(name), parameter + offset)


@pytest.mark.parametrize("loss", LOSSES)
def test_member_losses_are_the_plain_losses(loss):
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(3, 7, 4, dtype=torch.float64, generator=generator)
    targets = torch.randn(3, 7, 4, dtype=torch.float64, generator=generator)
    if loss == "cross_entropy":
        targets = targets.argmax(dim=-1)
    expected = torch.stack([LOSSES[loss](f, y) for f, y in zip(outputs, targets, strict=True)])
    assert torch.allclose(member_losses(loss, outputs, targets), expected, rtol=1e-14)


def test_what_can_be_stacked():
    generator = torch.Generator().manual_seed(0)
    assert is_stackable(networks()[0])
    assert is_stackable(Linear(input_dim=3))
    assert not is_stackable(RandomFeatures(input_dim=3, width=4, generator=generator))
    assert not is_stackable(nn.Sequential(nn.Linear(3, 3)))
    frozen = networks()[0].requires_grad_(False)
    assert not is_stackable(frozen)


def brute_force_price(costs, rows, overhead):
    """The least price over all ways to cut the sizes into consecutive buckets."""
    best = float("inf")
    for cuts in range(2 ** (len(costs) - 1)):
        buckets, bucket = [], [0]
        for index in range(1, len(costs)):
            if cuts >> (index - 1) & 1:
                buckets.append(bucket)
                bucket = []
            bucket.append(index)
        buckets.append(bucket)
        best = min(best, price(buckets, costs, rows, overhead))
    return best


def price(buckets, costs, rows, overhead):
    return sum(overhead + sum(costs[i][0] for i in b) * costs[b[-1]][1] * rows for b in buckets)


@pytest.mark.parametrize("overhead", [0, 1e3, 1e5, 1e9])
def test_buckets_are_the_cheapest(overhead):
    costs = [(20, 11 * width) for width in (1, 2, 3, 5, 8, 20, 50, 100, 200)]
    buckets = choose_buckets(costs, rows=32, overhead=overhead)
    assert [i for bucket in buckets for i in bucket] == list(range(len(costs)))
    assert price(buckets, costs, 32, overhead) == pytest.approx(brute_force_price(costs, 32, overhead))
    if overhead == 0:
        assert len(buckets) == len(costs)
    if overhead == 1e9:
        assert len(buckets) == 1
