"""The optimizer of a stack against torch.optim's of each member, step for step in float64.

A thousand steps of every rule are among the laws; here are the states: anew, handed over, layers' factors.
"""

import pytest
import torch
from torch import nn

from dlexp.models.mlp import MLP
from dlexp.seeding import make_generator
from dlexp.train.optimizers import (
    OptimizerSettings,
    learning_rate_factors,
    make_optimizer,
    set_state_by_name,
    state_by_name,
)
from dlexp.train.stacks.optimizers import StackOptimizer
from dlexp.train.stacks.stack import Stack
from dlexp.train.stacks.weights import unstack

WIDTHS = (3, 1, 7)
SETTINGS = {  # of the members, by rule: (lr, momentum, weight decay) or (lr, betas, weight decay)
    "sgd": [(0.1, 0.0, 0.0), (0.01, 0.0, 0.0), (0.1, 0.0, 0.0)],
    "one rate": [(0.1, 0.0, 0.0)] * 3,
    "momentum": [(0.1, 0.9, 0.0), (0.1, 0.0, 0.1), (0.2, 0.5, 0.0)],
    "nesterov": [(0.1, 0.9, 0.0), (0.2, 0.9, 0.1), (0.3, 0.5, 0.0)],
    "adam": [(0.1, (0.9, 0.99), 0.0), (0.2, (0.5, 0.9), 0.1), (0.1, (0.9, 0.99), 0.0)],
    "one adam": [(0.01, (0.9, 0.999), 0.1)] * 3,
    "adamw": [(0.1, (0.9, 0.99), 0.1), (0.01, (0.9, 0.99), 0.5), (0.1, (0.9, 0.99), 0.0)],
}


def settings_of(rule):
    if "adam" in rule:
        name = rule.split()[-1]
        return [OptimizerSettings(name, lr, betas=b, weight_decay=d) for lr, b, d in SETTINGS[rule]]
    nesterov = rule == "nesterov"
    return [OptimizerSettings("sgd", lr, m, nesterov, weight_decay=d) for lr, m, d in SETTINGS[rule]]


KINDS = {rule: settings_of(rule) for rule in SETTINGS}
RULES = list(KINDS)


def networks(parametrization="standard"):
    return [
        MLP(input_dim=4, width=w, depth=2, parametrization=parametrization, base_width=2,
            generator=make_generator("model", w)).double()
        for w in WIDTHS
    ]  # fmt: skip


class Both:
    """The same networks stepped as a stack and each by torch.optim, by the same gradients."""

    def __init__(self, kind, parametrization="standard", *, as_tensors=False):
        self.settings = KINDS[kind]
        self.alone = networks(parametrization)
        self.optimizers = [make_optimizer(n, s) for n, s in zip(self.alone, self.settings, strict=True)]
        self.generator = torch.Generator().manual_seed(0)
        self.as_tensors = as_tensors
        self.stacked([{}] * 3, networks(parametrization))

    def stacked(self, states, members):
        self.stack = Stack(members)
        factors = [learning_rate_factors(n, s) for n, s in zip(members, self.settings, strict=True)]
        self.optimizer = StackOptimizer(
            self.stack, self.settings, factors, states, as_tensors=self.as_tensors
        )

    def step(self, count=1, *, factor=1.0):
        for _ in range(count):
            self.stack.gradients.zero_()
            for position, network in enumerate(self.alone):
                for name, parameter in network.named_parameters():
                    noise = torch.randn(parameter.shape, dtype=torch.float64, generator=self.generator)
                    parameter.grad = parameter.detach() + noise
                    self.stack.scatter(position, self.stack.gradients, {name: parameter.grad})
            for optimizer in self.optimizers:
                rates = [group["lr"] for group in optimizer.param_groups]
                for group in optimizer.param_groups:
                    group["lr"] *= factor
                optimizer.step()
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate
            self.optimizer.step(torch.tensor(factor, dtype=torch.float64) if self.as_tensors else factor)

    def states_alone(self):
        pairs = zip(self.optimizers, self.alone, strict=True)
        return [state_by_name(optimizer, dict(n.named_parameters())) for optimizer, n in pairs]

    def assert_equal(self):
        for position, (network, own) in enumerate(zip(self.alone, self.states_alone(), strict=True)):
            weights = self.stack.gather(position, self.stack.values)
            for name, parameter in network.named_parameters():
                assert torch.allclose(weights[name], parameter, rtol=1e-12, atol=1e-13), (position, name)
            state = self.optimizer.state(position)
            assert state.keys() == {name for name, parts in own.items() if parts}
            for name, parts in state.items():
                assert parts.keys() == own[name].keys()
                for key, value in parts.items():
                    assert torch.allclose(value.double(), own[name][key].double(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("as_tensors", [False, True])
@pytest.mark.parametrize("parametrization", ["standard", "mup"])
@pytest.mark.parametrize("kind", RULES)
def test_steps_and_states_are_torchs(kind, parametrization, as_tensors):
    both = Both(kind, parametrization, as_tensors=as_tensors)
    for factor in (1.0, 0.5, 0.0, 0.7):
        both.step(3, factor=factor)
        both.assert_equal()


@pytest.mark.parametrize("kind", RULES)
def test_one_member_begins_anew_while_the_others_go_on(kind):
    both = Both(kind)
    both.step(4)
    for position in (1, 2):
        both.optimizer.forget(position)
        both.optimizers[position].state.clear()
        assert both.optimizer.state(position) == {}
        both.step(3)
        both.assert_equal()


@pytest.mark.parametrize("kind", RULES)
def test_a_state_goes_from_a_stack_to_another_and_back_to_torch(kind):
    both = Both(kind)
    both.step(3)
    for network, optimizer, position in zip(both.alone, both.optimizers, range(3), strict=True):
        state = both.optimizer.state(position)
        optimizer.state.clear()
        set_state_by_name(optimizer, dict(network.named_parameters()), state)
    both.stacked([both.optimizer.state(position) for position in range(3)], both.stack.networks)
    both.step(3)
    both.assert_equal()


@pytest.mark.parametrize("kind", RULES)
def test_torch_takes_over_weights_that_were_views_of_a_stack(kind):
    """Transposed blocks make strided parameters, which torch's fused kernels read as if they were not."""
    both = Both(kind)
    both.step(3)
    for position, member in enumerate(both.stack.networks):
        optimizer = make_optimizer(member, both.settings[position])
        state = both.optimizer.state(position)
        unstack(member)
        set_state_by_name(optimizer, dict(member.named_parameters()), state)
        for (name, parameter), alone in zip(
            member.named_parameters(), both.alone[position].parameters(), strict=True
        ):
            parameter.grad = torch.randn(parameter.shape, dtype=torch.float64, generator=both.generator)
            alone.grad = parameter.grad.clone()
            assert parameter.is_contiguous(), name
        optimizer.step()
        both.optimizers[position].step()
        for parameter, alone in zip(member.parameters(), both.alone[position].parameters(), strict=True):
            assert torch.allclose(parameter, alone, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("as_tensors", [False, True])
@pytest.mark.parametrize("kind", RULES)
def test_what_is_padding_stays_padding(kind, as_tensors):
    both = Both(kind, as_tensors=as_tensors)
    both.step(5)
    left = both.stack.values.clone()
    for position in range(3):
        for block in both.stack.blocks.values():
            block.of_member(left, position).zero_()
    assert not left.any()


def test_a_frozen_parameter_is_not_moved():
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    network[0].requires_grad_(False)
    optimizer = make_optimizer(network, OptimizerSettings("adamw", 0.1, weight_decay=1.0))
    assert {id(p) for group in optimizer.param_groups for p in group["params"]} == {
        id(p) for p in network[1].parameters()
    }
