"""Minimum-norm solutions against numpy, constrained optimality and gradient descent itself."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from dlexp.measures.risk import linear_system, minimum_norm_distance, minimum_norm_solution
from dlexp.models.mlp import MLP


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def low_rank(n, p, rank):
    return randn(n, rank) @ randn(rank, p, seed=1)


@pytest.mark.parametrize("design", [randn(40, 100), randn(40, 10), low_rank(30, 50, 7)])
@pytest.mark.parametrize("columns", [(), (3,)])
def test_solution_is_numpys(design, columns):
    targets = randn(len(design), *columns, seed=2)
    expected = np.linalg.lstsq(design.numpy(), targets.numpy(), rcond=1e-12)[0]
    np.testing.assert_allclose(minimum_norm_solution(design, targets), expected, atol=1e-11)


def descend(design, targets, start, steps=6000):
    weights = start.clone()
    rate = 1 / torch.linalg.matrix_norm(design, 2) ** 2
    for _ in range(steps):
        weights -= rate * design.T @ (design @ weights - targets)
    return weights


@pytest.mark.parametrize("design", [randn(20, 100), low_rank(30, 50, 4)])
def test_gradient_descent_ends_at_its_limit(design):
    targets, start = randn(len(design), seed=3), randn(design.shape[1], seed=4)
    weights = descend(design, targets, start)
    distance = minimum_norm_distance(design, targets, weights, start)
    assert distance.distance_to_limit < 1e-11
    assert distance.row_space_distance < 1e-11
    # What is left of the start is its part orthogonal to the data: by Pythagoras.
    solution = torch.from_numpy(np.linalg.pinv(design.numpy(), rcond=1e-12)) @ targets
    orthogonal = torch.from_numpy(
        start.numpy() - np.linalg.pinv(design.numpy(), rcond=1e-12) @ (design @ start).numpy()
    )
    assert distance.distance == pytest.approx(orthogonal.norm().item(), rel=1e-10)
    assert distance.null_space_norm == pytest.approx(orthogonal.norm().item(), rel=1e-10)
    assert distance.relative_distance == pytest.approx(
        (orthogonal.norm() / solution.norm()).item(), rel=1e-10
    )
    total = (solution.norm() ** 2 + orthogonal.norm() ** 2).sqrt()
    assert distance.norm_ratio == pytest.approx((total / solution.norm()).item(), rel=1e-10)


def test_distances_of_planted_weights():
    # Rows along the first two axes: the null space is the third.
    design = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    targets = torch.tensor([6.0, 4.0], dtype=torch.float64)
    weights = torch.tensor([3.0, 4.5, 2.0], dtype=torch.float64)
    start = torch.tensor([9.0, 9.0, 1.5], dtype=torch.float64)
    distance = minimum_norm_distance(design, targets, weights, start)
    assert distance.distance == pytest.approx(math.sqrt(0.25 + 4))
    assert distance.relative_distance == pytest.approx(math.sqrt(4.25) / 5)
    assert distance.norm_ratio == pytest.approx(math.sqrt(9 + 20.25 + 4) / 5)
    assert distance.row_space_distance == pytest.approx(0.5)
    assert distance.null_space_norm == pytest.approx(2)
    assert distance.distance_to_limit == pytest.approx(math.sqrt(0.5))


def test_linear_system_of_a_random_feature_model_has_its_features_and_offset():
    model = MLP(input_dim=4, width=9, depth=1, generator=torch.Generator().manual_seed(0)).double()
    model.hidden_1.requires_grad_(False)
    model.readout.bias.requires_grad_(False)
    x, y = randn(6, 4), randn(6, 1, seed=1)
    design, targets = linear_system(model, x, y)
    torch.testing.assert_close(design, model.hidden_1(x).relu())
    torch.testing.assert_close(targets, (y - model.readout.bias)[:, 0].detach())


class OneNeuron(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.linear, self.activation = nn.Linear(3, 1, bias=False), activation

    def forward(self, x):
        return self.activation(self.linear(x))


@pytest.mark.parametrize(
    "model",
    [
        OneNeuron(torch.relu),
        OneNeuron(torch.tanh),
        OneNeuron(torch.abs),
        OneNeuron(torch.square),
        MLP(input_dim=3, width=2, depth=1, activation="linear"),
    ],
)
def test_models_that_are_not_linear_are_refused(model):
    # At zero weights too, where a bilinear model looks constant.
    for scale in (1.0, 0.0):
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(scale)
        with pytest.raises(ValueError, match="not linear in its trainable parameters"):
            linear_system(model.double(), randn(5, 3), randn(5, 1))
