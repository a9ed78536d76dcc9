"""Optimizers and schedules against closed forms."""

import math

import pytest
import torch
from dlexp.training.optimizers import learning_rate_factor, make_optimizer

from dlexp.models.mlp import MLP


@pytest.mark.parametrize(("schedule", "half"), [("constant", 1.0), ("linear", 0.5), ("cosine", 0.5)])
def test_schedule_at_its_points(schedule, half):
    assert learning_rate_factor(schedule, 0, 10) == 1
    assert learning_rate_factor(schedule, 5, 10) == pytest.approx(half)
    if schedule != "constant":
        assert learning_rate_factor(schedule, 10, 10) == pytest.approx(0, abs=1e-15)


def test_cosine_equals_torchs_own():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=30)
    for step in range(30):
        assert learning_rate_factor("cosine", step, 30) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()


def test_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="allowed: constant, cosine, linear"):
        learning_rate_factor("step", 0, 1)


def quadratic_path(name, lr, **settings):
    """Minimise (w - 0)^2 / 2 from w = 1 in float64 and return the path."""
    network = torch.nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        network.weight.fill_(1.0)
    optimizer = make_optimizer(network, name=name, lr=lr, **settings)
    path = [1.0]
    for _ in range(5):
        optimizer.zero_grad()
        (0.5 * network.weight.square().sum()).backward()
        optimizer.step()
        path.append(network.weight.item())
    return path


def test_momentum_and_weight_decay_on_a_quadratic():
    lr, momentum, decay = 0.1, 0.9, 0.5
    w, velocity, expected = 1.0, 0.0, [1.0]
    for _ in range(5):
        velocity = momentum * velocity + (w + decay * w)
        w -= lr * velocity
        expected.append(w)
    path = quadratic_path("sgd", lr, momentum=momentum, weight_decay=decay)
    assert path == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_on_a_quadratic(name):
    lr, (b1, b2), decay = 0.1, (0.8, 0.9), 0.3
    w, m, v, expected = 1.0, 0.0, 0.0, [1.0]
    for t in range(1, 6):
        gradient = w + (decay * w if name == "adam" else 0.0)
        if name == "adamw":
            w -= lr * decay * w
        m, v = b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
        w -= lr * (m / (1 - b1**t)) / (math.sqrt(v / (1 - b2**t)) + 1e-8)
        expected.append(w)
    path = quadratic_path(name, lr, betas=(b1, b2), weight_decay=decay)
    assert path == pytest.approx(expected, rel=1e-12)


def test_mup_learning_rates_reach_the_parameter_groups():
    network = MLP(input_dim=3, width=128, depth=2, parametrization="mup", base_width=64)
    optimizer = make_optimizer(network, name="adam", lr=0.5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    named = {name: rates[id(p)] for name, p in network.named_parameters()}
    assert named["hidden_2.weight"] == 0.25
    assert named["hidden_1.weight"] == named["readout.weight"] == named["hidden_2.bias"] == 0.5
