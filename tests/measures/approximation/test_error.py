"""Approximation errors against closed forms, and functions that attain the bounds."""

import math

import pytest
import torch
from torch import nn

from dlexp.measures.approximation import (
    approximation_error,
    piecewise_constant_bound,
    piecewise_linear_bound,
)
from dlexp.models import constructed


class Constant(nn.Module):
    def __init__(self, columns=1):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(columns, dtype=torch.float64))

    def forward(self, x):
        return self.value.expand(len(x), -1)


@pytest.mark.parametrize("chunk_size", [1, 7, 10_000])
def test_errors_of_the_zero_function(chunk_size):
    x = torch.linspace(-1, 1, 2001, dtype=torch.float64)[:, None]
    error = approximation_error(Constant(), lambda x: x - 0.5, x, chunk_size=chunk_size)
    assert error.supremum == 1.5
    # The mean of (x - 1/2)^2 over n even points is 1/4 + (n + 1) / (3 (n - 1)).
    assert error.mean_squared == pytest.approx(0.25 + 2002 / (3 * 2000), rel=1e-13)


def test_targets_without_a_column_do_not_broadcast():
    x = torch.linspace(0, 1, 5, dtype=torch.float64)[:, None]
    column = approximation_error(Constant(), lambda x: x, x)
    assert approximation_error(Constant(), lambda x: x[:, 0], x) == column


def test_nan_is_not_hidden():
    x = torch.tensor([[0.0], [math.nan], [1.0]], dtype=torch.float64)
    error = approximation_error(Constant(), lambda x: x, x, chunk_size=1)
    assert math.isnan(error.supremum)
    assert math.isnan(error.mean_squared)


def test_the_model_is_left_alone():
    model = constructed.hats(torch.ones(4)).train()
    before = {name: p.clone() for name, p in model.named_parameters()}
    approximation_error(model, torch.sin, torch.rand(9, 1, generator=torch.Generator().manual_seed(0)))
    assert model.training
    assert all(p.grad is None and torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_bad_input_is_refused():
    x = torch.ones(3, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match="x has shape"):
        approximation_error(Constant(), torch.sin, x[:0])
    with pytest.raises(ValueError, match="chunk_size=0"):
        approximation_error(Constant(), torch.sin, x, chunk_size=0)
    with pytest.raises(ValueError, match="target returns"):
        approximation_error(Constant(2), torch.sin, x)
    with pytest.raises(ValueError, match="target returns"):
        approximation_error(Constant(), lambda x: x.T, x)
    with pytest.raises(ValueError, match="training mode"):
        approximation_error(nn.Sequential(nn.Dropout()), torch.sin, x)
    with pytest.raises(ValueError, match="spacing=0"):
        piecewise_constant_bound(1.0, 0)
    with pytest.raises(ValueError, match="second_derivative=-1"):
        piecewise_linear_bound(-1, 1.0)


def test_steep_boxes_attain_the_constant_bound_for_the_identity():
    centres = constructed.nodes(9, dtype=torch.float64)
    x = torch.linspace(-1, 1, 64_001, dtype=torch.float64)[:, None]
    model = constructed.sigmoid_boxes(centres, steepness=1e5)
    bound = piecewise_constant_bound(1.0, 0.25)
    assert bound == 0.125
    assert approximation_error(model, lambda x: x, x).supremum == pytest.approx(bound, rel=2e-3)


def test_soft_boxes_stay_within_a_bound_that_hard_ones_would_break():
    # f = |x| on nodes around 0: wide logistic smoothing lifts the value at 0 by nearly E|Z| / k = 2 ln 2 / k.
    centres = constructed.nodes(401, dtype=torch.float64)
    spacing = 2 / 400
    error = approximation_error(
        constructed.sigmoid_boxes(centres.abs(), steepness=0.1),
        torch.abs,
        torch.zeros(1, 1, dtype=torch.float64),
    ).supremum
    bound = piecewise_constant_bound(1.0, spacing, steepness=0.1 / spacing)
    assert 0.9 * (bound - spacing / 2) < error <= bound


def test_interpolants_of_a_square_attain_the_linear_bound():
    knots = torch.tensor([0.0, 0.25, 0.75, 1.0], dtype=torch.float64)
    model = constructed.piecewise_linear_interpolant(knots, 3 * knots**2)
    x = torch.linspace(0, 1, 1025, dtype=torch.float64)[:, None]
    error = approximation_error(model, lambda x: 3 * x**2, x)
    assert error.supremum == pytest.approx(piecewise_linear_bound(6.0, 0.5), abs=1e-15)
