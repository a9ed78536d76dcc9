"""Linear pieces: the pieces must rebuild the network, be distinct, and be as many as theory says."""

import pytest
import torch
from torch import nn

from dlexp.measures.linear_pieces import linear_pieces
from dlexp.models import constructed
from dlexp.models.mlp import MLP

SEED = 3


def network(widths, *, seed=0, activation="relu", **options):
    generator = torch.Generator().manual_seed(seed)
    arguments = {"output_dim": 2, "initialization": "normal", "bias_std": 1.0} | options
    return MLP(
        input_dim=1, width=widths, depth=len(widths), activation=activation, generator=generator, **arguments
    ).double()


def evaluate(pieces, x):
    index = torch.bucketize(x, pieces.breakpoints)
    return pieces.slopes[index] * x[:, None] + pieces.intercepts[index]


@pytest.mark.parametrize("widths", [[], [1], [7], [5, 5], [16, 16, 16]])
@pytest.mark.parametrize("seed", range(3))
def test_pieces_rebuild_the_network_and_are_distinct(widths, seed):
    model = network(widths, seed=seed)
    pieces = linear_pieces(model)
    # Points everywhere: even, and closely around every kink.
    around = [pieces.breakpoints + shift for shift in (-1e-6, 0.0, 1e-6)]
    x = torch.cat([torch.linspace(-50, 50, 5001, dtype=torch.float64), *around])
    torch.testing.assert_close(evaluate(pieces, x), model(x[:, None]).detach(), rtol=1e-11, atol=1e-11)
    # A function has one description by pieces with distinct slopes, so the count is exact.
    assert (pieces.slopes.diff(dim=0).abs().amax(1) > 0).all()
    assert (pieces.breakpoints.diff() > 0).all()
    assert pieces.count == len(pieces.slopes) == len(pieces.breakpoints) + 1


def test_kinks_that_cancel_are_not_counted():
    # relu(x) - relu(-x) = x.
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        model[0].bias.zero_()
        model[2].weight.copy_(torch.tensor([[0.375, -0.375]]))
        model[2].bias.fill_(0.7)
    pieces = linear_pieces(model)
    assert pieces.count == 1
    assert pieces.slopes.item() == 0.375
    assert pieces.intercepts.item() == 0.7


def test_units_that_are_constant_everywhere():
    generator = torch.Generator().manual_seed(0)
    model = MLP(input_dim=1, width=3, depth=1, generator=generator).double()
    with torch.no_grad():
        model.hidden_1.weight.zero_()
        model.hidden_1.bias.copy_(torch.tensor([2.0, -1.0, 0.0]))
        model.readout.weight.copy_(torch.tensor([[3.0, 5.0, 7.0]]))
        model.readout.bias.fill_(1.0)
    pieces = linear_pieces(model)
    assert (pieces.count, pieces.slopes.item(), pieces.intercepts.item()) == (1, 0, 7)


@pytest.mark.parametrize("tiny", [2.0**-40, 2.0**-1000])
def test_pieces_far_below_any_tolerance_are_counted(tiny):
    knots = torch.tensor([0.0, tiny, 1.0], dtype=torch.float64)
    values = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    # A flat piece of length `tiny`, then the slope of the rest.
    assert linear_pieces(constructed.piecewise_linear_interpolant(knots, values), lower=0).count == 2
    flat = constructed.piecewise_linear_interpolant(knots, torch.tensor([0.0, 2 * tiny, 1.0 + tiny]).double())
    assert linear_pieces(flat, lower=0, upper=2).count == 2


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_tent_maps_double_their_pieces(depth):
    pieces = linear_pieces(constructed.tent_map(depth, dtype=torch.float64), lower=0, upper=1)
    assert pieces.count == 2**depth
    assert torch.equal(pieces.breakpoints, torch.arange(1, 2**depth, dtype=torch.float64) / 2**depth)
    assert torch.equal(pieces.slopes[:, 0].abs(), torch.full((2**depth,), 2.0**depth, dtype=torch.float64))


def test_leaky_relu_identity_and_nesting():
    generator = torch.Generator().manual_seed(SEED)
    model = nn.Sequential(
        nn.Sequential(nn.Linear(1, 6), nn.LeakyReLU(0.1)),
        nn.Identity(),
        nn.Linear(6, 4, bias=False),
        nn.ReLU(),
    ).double()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64))
    pieces = linear_pieces(model)
    x = torch.linspace(-9, 9, 999, dtype=torch.float64)
    torch.testing.assert_close(evaluate(pieces, x), model(x[:, None]).detach(), rtol=1e-11, atol=1e-11)
    assert pieces.count > 7


def test_interval_is_open_and_may_be_half_infinite():
    model = network([9])
    kinks = linear_pieces(model).breakpoints
    assert linear_pieces(model, lower=kinks[3].item() + 1e-9).count == len(kinks[4:]) + 1
    hats = constructed.hats(torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))
    assert linear_pieces(hats).count == linear_pieces(hats, lower=-2, upper=2).count
    assert linear_pieces(hats, lower=-1, upper=1).count == 2
    assert linear_pieces(hats, lower=-1, upper=0).count == 1


def test_scaled_layers_count_as_they_compute():
    model = network([8, 8], parametrization="ntk", initialization=None, random_bias=True)
    x = torch.linspace(-9, 9, 501, dtype=torch.float64)
    torch.testing.assert_close(
        evaluate(linear_pieces(model), x), model(x[:, None]).detach(), rtol=1e-11, atol=1e-11
    )
