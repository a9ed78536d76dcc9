import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from dlexp.measures.connectivity import (
    BezierCurve,
    barrier,
    end_points,
    fit_bezier,
    fit_polygonal_chain,
    path_losses,
)
from dlexp.measures.functional import mean_squared_error
from dlexp.models.mlp import MLP

FITS = [fit_bezier, fit_polygonal_chain]


class Plane(nn.Module):
    """A point (p, q); its output is p^2 + q^2 whatever the input, so that a ring of radius 1 is a valley."""

    def __init__(self) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.tensor([1.0, 0.0], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return (self.point**2).sum() + 0 * x


RING_ENDS = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
ONE = torch.ones(1, 1, dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_quadratic_bezier_reaches_the_best_control_point_on_a_ring() -> None:
    curve = fit_bezier(
        Plane(), mean_squared_error, ONE, ONE, RING_ENDS, generator=generator(), steps=700, learning_rate=0.04
    )
    # By symmetry the best control point is (c, c): minimise the mean of (|theta(t)|^2 - 1)^2 by brute force.
    t = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    c = torch.linspace(0.5, 1.5, 2001, dtype=torch.float64)[:, None]
    first, second = (1 - t) ** 2 + 2 * t * (1 - t) * c, t**2 + 2 * t * (1 - t) * c
    objective = ((first**2 + second**2 - 1) ** 2).mean(dim=1)
    best = float(c[objective.argmin()])
    torch.testing.assert_close(curve.knots[1], torch.full((2,), best, dtype=torch.float64), atol=0.02, rtol=0)
    assert torch.equal(curve.knots[[0, 2]], RING_ENDS)


def test_polygonal_chain_reaches_the_best_bend_on_a_ring() -> None:
    chain = fit_polygonal_chain(
        Plane(), mean_squared_error, ONE, ONE, RING_ENDS, generator=generator(), steps=700, learning_rate=0.04
    )
    s = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    c = torch.linspace(0.5, 1.5, 2001, dtype=torch.float64)[:, None]
    objective = (((1 - s + s * c) ** 2 + (s * c) ** 2 - 1) ** 2).mean(dim=1)
    best = float(c[objective.argmin()])
    torch.testing.assert_close(chain.knots[1], torch.full((2,), best, dtype=torch.float64), atol=0.02, rtol=0)


def trained(seed: int, x: Tensor, y: Tensor) -> MLP:
    model = MLP(input_dim=2, width=16, depth=1, generator=generator(seed)).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        mean_squared_error(model(x), y).backward()
        optimizer.step()
    return model


def test_trained_networks_are_joined_below_the_straight_line() -> None:
    x = torch.randn(100, 2, generator=generator(7), dtype=torch.float64)
    y = torch.sin(2 * x.sum(dim=1, keepdim=True))
    a, b = trained(0, x, y), trained(1, x, y)
    ends = end_points(a, b)
    straight = barrier(path_losses(a, mean_squared_error, x, y, ends))
    assert float(straight) > 0.1
    for fit in FITS:
        curve = fit(
            a,
            mean_squared_error,
            x,
            y,
            ends,
            generator=generator(),
            steps=500,
            learning_rate=0.02,
            batch_size=50,
        )
        losses = path_losses(a, mean_squared_error, x, y, curve, points=41)
        assert float(barrier(losses)) < 0.15 * float(straight)
        torch.testing.assert_close(losses[[0, -1]], path_losses(a, mean_squared_error, x, y, ends, points=2))


@pytest.mark.parametrize("fit", FITS)
def test_model_and_global_generator_stay_and_the_fit_repeats(fit: Callable[..., object]) -> None:
    x = torch.randn(20, 2, generator=generator(7), dtype=torch.float64)
    y = x[:, :1]
    a, b = (MLP(input_dim=2, width=4, depth=1, generator=generator(s)).double() for s in (0, 1))
    before, state = copy.deepcopy(a.state_dict()), torch.get_rng_state()
    ends = end_points(a, b)
    curves = [
        fit(
            a,
            mean_squared_error,
            x,
            y,
            ends,
            generator=generator(3),
            steps=20,
            batch_size=7,
            control_points=2,
        )
        for _ in range(2)
    ]
    assert torch.equal(curves[0].knots, curves[1].knots)  # type: ignore[attr-defined]
    assert curves[0].knots.shape == (4, ends.shape[1])  # type: ignore[attr-defined]
    assert not curves[0].knots.requires_grad  # type: ignore[attr-defined]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in a.state_dict().items())
    assert all(p.grad is None for p in a.parameters())


def test_a_step_follows_the_gradient_of_the_trained_parameters() -> None:
    """Adam's first step is its learning rate times the signs of the gradient, here by finite differences."""
    x = torch.randn(20, 2, generator=generator(7), dtype=torch.float64)
    y = torch.sin(x[:, :1])
    a, b = (MLP(input_dim=2, width=4, depth=1, generator=generator(0)).double() for _ in range(2))
    for model in (a, b):
        model.hidden_1.requires_grad_(False)
    with torch.no_grad():
        b.readout.weight.add_(torch.randn(1, 4, generator=generator(1), dtype=torch.float64))
    ends = end_points(a, b)
    curve = fit_bezier(a, mean_squared_error, x, y, ends, generator=generator(), steps=1, learning_rate=1e-3)
    middle, moved = ends.mean(dim=0), curve.knots[1]
    t = torch.rand(1, dtype=torch.float64, generator=generator())
    point = BezierCurve(torch.stack([ends[0], middle, ends[1]])).weights(t)[0]
    position = point[0] * ends[0] + point[1] * middle + point[2] * ends[1]
    shifts = 1e-6 * torch.eye(len(middle), dtype=torch.float64)
    slopes = [
        path_losses(a, mean_squared_error, x, y, torch.stack([position - s, position + s]), points=2).diff()
        for s in shifts
    ]
    torch.testing.assert_close(moved - middle, -1e-3 * torch.cat(slopes).sign(), rtol=1e-3, atol=0)


def test_starts_as_the_straight_line() -> None:
    ends = torch.tensor([[0.0, 0.0], [3.0, 6.0]], dtype=torch.float64)
    for fit in FITS:
        curve = fit(
            Plane(),
            mean_squared_error,
            ONE,
            ONE,
            ends,
            generator=generator(),
            steps=1,
            learning_rate=1e-12,
            control_points=2,
        )
        expected = torch.tensor([[0, 0], [1, 2], [2, 4], [3, 6]], dtype=torch.float64)
        torch.testing.assert_close(curve.knots, expected)


def test_refusals() -> None:
    settings = {"generator": generator()}
    for values, message in (
        ({"steps": 0}, "steps=0 must be at least 1"),
        ({"control_points": 0}, "control_points=0 must be at least 1"),
        ({"batch_size": 2}, "batch_size=2 must be between 1 and the number of rows, 1"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be a positive number"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_bezier(Plane(), mean_squared_error, ONE, ONE, RING_ENDS, **settings, **values)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"ends must have shape \(2, 2\)"):
        fit_bezier(Plane(), mean_squared_error, ONE, ONE, RING_ENDS[:1], **settings)
    with pytest.raises(FloatingPointError, match="diverged"):
        fit_bezier(Plane(), mean_squared_error, ONE, ONE * torch.nan, RING_ENDS, steps=2, **settings)
