import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlexp.measures.connectivity import (
    end_points,
    fit_bezier,
)
from dlexp.measures.functional import mean_squared_error
from dlexp.models.mlp import MLP


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


@pytest.mark.parametrize("context", [contextlib.nullcontext, torch.no_grad, torch.inference_mode])
def test_the_fit_repeats_whatever_the_caller_s_mode(context: Callable[[], Any]) -> None:
    x = torch.randn(20, 2, generator=generator(7), dtype=torch.float64)
    a, b = (MLP(input_dim=2, width=4, depth=1, generator=generator(s)).double() for s in (0, 1))
    settings = {"steps": 20, "batch_size": 7, "control_points": 2}
    expected = fit_bezier(
        a, mean_squared_error, x, x[:, :1], end_points(a, b), generator=generator(3), **settings
    )
    with context():
        ends = end_points(a, b)
        curve = fit_bezier(
            a, mean_squared_error, 1 * x, 1 * x[:, :1], ends, generator=generator(3), **settings
        )
    assert torch.equal(curve.knots, expected.knots)
    assert curve.knots.shape == (4, ends.shape[1])
    assert not curve.knots.requires_grad


def test_every_row_is_seen_once_an_epoch() -> None:
    x = torch.arange(5.0, dtype=torch.float64)[:, None]
    seen: list[list[float]] = []

    def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
        seen.append(targets.flatten().tolist())
        return mean_squared_error(outputs, targets)

    fit_bezier(Plane(), loss_fn, x, x, RING_ENDS, generator=generator(), steps=6, batch_size=2)
    batches = [rows for rows in seen if len(rows) < 5]  # without the look at all rows beforehand
    assert [len(rows) for rows in batches] == [2, 2, 1, 2, 2, 1]
    for epoch in (batches[:3], batches[3:]):
        assert sorted(row for rows in epoch for row in rows) == [0, 1, 2, 3, 4]


def test_starts_as_the_straight_line() -> None:
    ends = torch.tensor([[0.0, 0.0], [3.0, 6.0]], dtype=torch.float64)
    curve = fit_bezier(
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
