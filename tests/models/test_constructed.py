"""Constructed networks: the numbers of STUDIES, interpolation by scipy and numpy, exact errors."""

import math

import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator

from dlexp.measures.linear_pieces import linear_pieces
from dlexp.models import constructed

GRID = torch.linspace(-1, 1, 1000, dtype=torch.float64)
COUNTS = (5, 10, 20, 50, 100, 200)


def target(x):
    return torch.sin(5 * x) * torch.exp(-(x**2))


def nodes(n):
    return constructed.nodes(n, dtype=torch.float64)


def errors_of(model, function=target, x=GRID[:, None]):
    """Return the largest error and the mean squared one on points (N, d)."""
    error = model(x).detach() - function(x).reshape(len(x), 1)
    return error.abs().max().item(), error.square().mean().item()


def rounded(values, digits):
    return [float(f"{value:.{digits}g}") for value in values]


def notebook_heights(n):
    # The notebook reads a bump's height off its plotting grid, at the point nearest to the centre.
    nearest = (GRID[:, None] - nodes(n)).abs().argmin(0)
    return target(GRID[nearest])


def test_notebook_sigmoid_bumps_have_the_errors_of_the_notebook():
    errors = [errors_of(constructed.notebook_sigmoid_bumps(notebook_heights(n)))[1] for n in COUNTS]
    assert errors == pytest.approx([0.27668, 0.10136, 0.02351, 0.19501, 0.26269, 0.28512], abs=6e-6)


def test_notebook_relu_bumps_have_the_errors_of_the_notebook():
    errors = [errors_of(constructed.notebook_relu_bumps(notebook_heights(n)))[1] for n in COUNTS]
    assert rounded(errors[:2], 5) == [0.16694, 0.012566]
    assert errors[2:4] == pytest.approx([0.001739, 0.000176], abs=6e-7)
    assert rounded(errors[4:], 2) == [3.8e-5, 1.3e-5]


@pytest.mark.parametrize("n", [20, 50, 200])
def test_notebook_sigmoid_bumps_sum_to_nearly_two(n):
    # Far from the ends: the tails of a bump are a few widths 2/n long.
    model = constructed.notebook_sigmoid_bumps(torch.ones(n, dtype=torch.float64))
    middle = model(torch.linspace(-0.05, 0.05, 7, dtype=torch.float64)[:, None])
    torch.testing.assert_close(middle, torch.full_like(middle, 2 * (n - 1) / n), rtol=0, atol=1e-3)


def test_hats_interpolate_linearly_and_match_the_study():
    models = [constructed.hats(target(nodes(n))) for n in COUNTS]
    for n, model in zip(COUNTS, models, strict=True):
        expected = np.interp(GRID, nodes(n), target(nodes(n)))
        np.testing.assert_allclose(model(GRID[:, None])[:, 0].detach(), expected, atol=1e-12)
    errors = [errors_of(model)[1] for model in models]
    assert rounded(errors, 2) == [0.15, 4.5e-3, 2.4e-4, 5.4e-6, 3.2e-7, 2.0e-8]
    slope = np.polyfit(np.log(COUNTS[1:]), np.log(errors[1:]), 1)[0]
    assert slope == pytest.approx(-4.1, abs=0.15)


@pytest.mark.parametrize("closed_ends", [True, False])
def test_sigmoid_boxes_match_the_study(closed_ends):
    models = [constructed.sigmoid_boxes(target(nodes(n)), closed_ends=closed_ends) for n in COUNTS]
    errors = [errors_of(model)[1] for model in models]
    assert errors == pytest.approx([0.151, 9e-3, 1.5e-3, 2.1e-4, 5e-5, 1.2e-5], rel=0.04)


def test_closed_sigmoid_boxes_are_a_partition_of_unity_and_open_ones_are_not():
    ones = torch.ones(33, dtype=torch.float64)
    x = GRID[:, None]
    closed, opened = (constructed.sigmoid_boxes(ones, closed_ends=end)(x) for end in (True, False))
    assert (closed - 1).abs().max() < 1e-14
    assert (opened - 1).abs().max().item() == pytest.approx(1 / (1 + math.exp(5)), rel=1e-6)


@pytest.mark.parametrize("n", COUNTS)
def test_closed_sigmoid_boxes_keep_their_bound(n):
    # |f'| <= 5: f' = (5 cos 5x - 2x sin 5x) exp(-x^2), at its largest in x = 0.
    spacing = 2 / (n - 1)
    error, _ = errors_of(constructed.sigmoid_boxes(target(nodes(n))))
    assert error <= 5 * spacing * (1 / 2 + 2 * math.log(2) / 10)


def test_tent_map_is_the_iterated_tent():
    x = torch.linspace(0, 1, 4097, dtype=torch.float64)
    expected = x
    for depth in range(1, 7):
        expected = 1 - (2 * expected - 1).abs()
        model = constructed.tent_map(depth, dtype=torch.float64)
        assert torch.equal(model(x[:, None])[:, 0], expected)
        assert linear_pieces(model, lower=0, upper=1).count == 2**depth
        assert sum(p.numel() for p in model.parameters()) == 4 + 6 * (depth - 1) + 3


@pytest.mark.parametrize("pieces", [1, 3, 8])
def test_interpolant_of_the_square_has_the_exact_error(pieces):
    knots = torch.linspace(0, 1, pieces + 1, dtype=torch.float64)
    model = constructed.piecewise_linear_interpolant(knots, knots**2)
    x = torch.linspace(0, 1, 2 * pieces * 512 + 1, dtype=torch.float64)[:, None]
    assert errors_of(model, torch.square, x)[0] == pytest.approx(1 / (4 * pieces**2), abs=1e-15)
    assert model[0].out_features == pieces


def test_interpolant_through_uneven_knots_is_numpys():
    knots = torch.tensor([-1.0, -0.3, 0.1, 0.9, 2.0], dtype=torch.float64)
    values = torch.tensor([0.5, -2.0, 1.0, 1.5, -1.0], dtype=torch.float64)
    x = torch.linspace(-2, 2, 801, dtype=torch.float64)
    outputs = constructed.piecewise_linear_interpolant(knots, values)(x[:, None])[:, 0]
    np.testing.assert_allclose(outputs.detach(), np.interp(x, knots, values), atol=1e-14)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_multilinear_hats_are_scipys_grid_interpolation(d):
    generator = torch.Generator().manual_seed(d)
    heights = torch.randn((5,) * d, dtype=torch.float64, generator=generator)
    x = 3 * torch.rand(50, d, dtype=torch.float64, generator=generator) - 1
    axis = np.linspace(-1, 2, 5)
    expected = RegularGridInterpolator((axis,) * d, heights.numpy())(x.numpy())
    outputs = constructed.MultilinearHats(heights, lower=-1, upper=2)(x)
    np.testing.assert_allclose(outputs[:, 0].detach(), expected, atol=1e-13)


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_multilinear_hats_need_nine_nodes_an_axis_whatever_the_dimension(d):
    def f(x):
        return torch.sin(3 * x.sum(-1) / math.sqrt(d))

    axes = torch.meshgrid(*[nodes(9)] * d, indexing="ij")
    model = constructed.MultilinearHats(f(torch.stack(axes, -1)))
    x = 2 * torch.rand(4000, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1
    assert math.sqrt(errors_of(model, f, x)[1]) == pytest.approx(0.033, abs=0.004)
    assert model.heights.numel() == 9**d


def test_construction_draws_nothing_and_keeps_the_dtype():
    state = torch.get_rng_state()
    models = [
        constructed.hats(torch.ones(3)),
        constructed.tent_map(2, dtype=torch.float32),
        constructed.MultilinearHats(torch.ones(3, 3)),
    ]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.dtype == torch.float32 for model in models for p in model.parameters())
    assert constructed.sigmoid_boxes(torch.ones(3, dtype=torch.float64))[0].weight.dtype == torch.float64


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: constructed.nodes(1), "n=1"),
        (lambda: constructed.nodes(3, lower=1.0, upper=1.0), "lower=1.0"),
        (lambda: constructed.hats(torch.ones(2, 2)), "heights"),
        (lambda: constructed.hats(torch.ones(4, dtype=torch.int64)), "heights"),
        (lambda: constructed.sigmoid_boxes(torch.ones(4), steepness=0.0), "steepness=0.0"),
        (lambda: constructed.piecewise_linear_interpolant(torch.ones(3), torch.ones(3)), "knots"),
        (lambda: constructed.piecewise_linear_interpolant(torch.arange(3.0), torch.ones(2)), "knots"),
        (lambda: constructed.tent_map(0), "depth=0"),
        (lambda: constructed.MultilinearHats(torch.ones(2, 3)), "heights"),
        (lambda: constructed.MultilinearHats(torch.ones(3, 3))(torch.ones(4, 3)), "x has the shape"),
    ],
)
def test_bad_input_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
