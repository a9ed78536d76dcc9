"""Networks stepped together move as torch.optim moves each: a thousand steps, float64, to 1e-12."""

import pytest
import torch

from tests.laws.comparison import relative_difference
from tests.laws.runs import optimize_together

STEPS = 1000
SHAPES = [
    {"0.weight": (width, 2), "0.bias": (width,), "1.weight": (1, width), "1.bias": (1,)}
    for width in (3, 5, 1)
]
PLAIN = {"lr": 0.01, "momentum": 0.0, "betas": (0.9, 0.999), "weight_decay": 0.0, "nesterov": False}
NESTEROV = [(0.9, 0.0), (0.5, 0.1), (0.9, 0.1)]
SETTINGS = {
    "sgd": ("sgd", [{}, {"lr": 0.1}, {"weight_decay": 0.1}]),
    "momentum": ("sgd", [{"momentum": 0.9}, {"momentum": 0.5, "weight_decay": 0.01}, {}]),
    "nesterov": ("sgd", [{"momentum": m, "nesterov": True, "weight_decay": d} for m, d in NESTEROV]),
    "adam": ("adam", [{}, {"betas": (0.5, 0.9), "lr": 0.1}, {"weight_decay": 0.1}]),
    "adamw": ("adamw", [{"weight_decay": 0.1}, {"betas": (0.0, 0.99)}, {"weight_decay": 0.01, "lr": 0.1}]),
}


def starts():
    generator = torch.Generator().manual_seed(0)
    return [
        {k: torch.randn(s, dtype=torch.float64, generator=generator) for k, s in own.items()}
        for own in SHAPES
    ]


def wandering_bowls():
    """Return the gradients, by network, step and parameters, of bowls whose lowest points wander."""
    generator = torch.Generator().manual_seed(1)
    points = [
        {k: torch.randn((STEPS, *s), dtype=torch.float64, generator=generator) for k, s in own.items()}
        for own in SHAPES
    ]

    def gradient(member, step, parameters):
        return {
            name: (1 + member) * (value.detach() - points[member][name][step])
            for name, value in parameters.items()
        }

    return gradient


def one_by_one(kind, settings, gradient):
    """Return what torch.optim makes of each network by itself, in its plainest way."""
    results = []
    for member, (start, own) in enumerate(zip(starts(), settings, strict=True)):
        parameters = {name: torch.nn.Parameter(value) for name, value in start.items()}
        plain = {"lr": own["lr"], "weight_decay": own["weight_decay"], "foreach": False}
        if kind == "sgd":
            more = {"momentum": own["momentum"], "nesterov": own["nesterov"]}
            optimizer = torch.optim.SGD(parameters.values(), **plain, **more)
        else:
            adam = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind]
            optimizer = adam(parameters.values(), betas=own["betas"], **plain)
        for step in range(STEPS):
            for name, value in gradient(member, step, parameters).items():
                parameters[name].grad = value
            optimizer.step()
        results.append({name: p.detach() for name, p in parameters.items()})
    return results


@pytest.mark.parametrize("name", SETTINGS)
def test_a_thousand_steps_together_are_those_of_torch(name):
    kind, own = SETTINGS[name]
    settings = [{**PLAIN, **changed} for changed in own]
    gradient = wandering_bowls()
    together = optimize_together(kind, settings, starts(), gradient, STEPS)
    for member, expected in enumerate(one_by_one(kind, settings, gradient)):
        for key, value in expected.items():
            assert relative_difference(together[member][key], value) <= 1e-12, (member, key)
