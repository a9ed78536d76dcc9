import copy

import pytest
import torch
from torch import Tensor, nn

from dlexp.measures.connectivity import BezierCurve, PolygonalChain, barrier, end_points, path_losses
from dlexp.measures.functional import mean_squared_error
from dlexp.models.mlp import MLP


def network(seed: int, **settings: object) -> MLP:
    generator = torch.Generator().manual_seed(seed)
    return MLP(input_dim=3, width=8, depth=2, generator=generator, **settings).double()  # type: ignore[arg-type]


def data() -> tuple[Tensor, Tensor]:
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return x, torch.sin(x.sum(dim=1, keepdim=True))


def loss(model: nn.Module) -> Tensor:
    x, y = data()
    with torch.no_grad():
        return mean_squared_error(model(x), y)


def interpolated(a: nn.Module, b: nn.Module, t: float) -> nn.Module:
    model, other = copy.deepcopy(a), dict(b.named_parameters())
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_((1 - t) * p + t * other[name])
    return model


def test_straight_line_equals_networks_interpolated_one_by_one() -> None:
    a, b = network(0), network(1)
    losses = path_losses(a, mean_squared_error, *data(), end_points(a, b), points=11)
    expected = torch.stack([loss(interpolated(a, b, i / 10)) for i in range(11)])
    torch.testing.assert_close(losses, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(losses[[0, -1]], torch.stack([loss(a), loss(b)]), rtol=1e-14, atol=0)


def test_polyline_passes_its_knots_and_their_midpoints() -> None:
    a, b, c = (network(seed) for seed in range(3))
    knots = torch.cat([end_points(a, b), end_points(b, c)[1:]])
    losses = path_losses(a, mean_squared_error, *data(), knots, points=5)
    expected = [loss(m) for m in (a, interpolated(a, b, 0.5), b, interpolated(b, c, 0.5), c)]
    torch.testing.assert_close(losses, torch.stack(expected), rtol=1e-12, atol=0)


@pytest.mark.parametrize("points", [2, 3, 21, 50])
def test_ends_are_exact_in_float32(points: int) -> None:
    knots = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    positions = torch.arange(points, dtype=torch.float64) / (points - 1)
    for path in (PolygonalChain(knots), BezierCurve(knots)):
        weights = path.weights(positions)
        assert torch.equal(weights[[0, -1]], torch.eye(4, dtype=torch.float64)[[0, 3]])
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(points, dtype=torch.float64))


def test_bezier_curve_equals_de_casteljau() -> None:
    knots = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = torch.tensor([0.0, 0.13, 0.5, 0.77, 1.0], dtype=torch.float64)
    points = knots[:, None].expand(5, 5, 7)
    while len(points) > 1:
        points = (1 - t[:, None]) * points[:-1] + t[:, None] * points[1:]
    torch.testing.assert_close(BezierCurve(knots).weights(t) @ knots, points[0])


def test_convex_model_has_no_barrier_on_any_line() -> None:
    x, y = data()
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        ends = 3 * torch.randn(2, 4, generator=generator, dtype=torch.float64)
        losses = path_losses(nn.Linear(3, 1).double(), mean_squared_error, x, y, ends)
        assert float(barrier(losses)) < 1e-12
        # Along the line a linear model's loss is a parabola: its second differences are all equal.
        torch.testing.assert_close(losses.diff(n=2), losses.diff(n=2)[:1].expand(23))


def test_models_that_no_path_can_join_are_refused() -> None:
    a = network(0)
    with pytest.raises(ValueError, match=r"they differ in 'hidden_1.bias'"):
        end_points(a, network(1, bias=False))
    other = network(0)
    other.hidden_1.weight.requires_grad_(False)
    with pytest.raises(ValueError, match=r"same trainable parameters; they differ in 'hidden_1.weight'"):
        end_points(a, other)
    norms = [nn.BatchNorm1d(3) for _ in range(2)]
    norms[1].running_mean.fill_(1.0)
    with pytest.raises(ValueError, match=r"buffers; they differ in 'running_mean'"):
        end_points(*norms)
    with pytest.raises(ValueError, match="points=1 must be at least 2"):
        path_losses(a, mean_squared_error, *data(), end_points(a, a), points=1)
    with pytest.raises(ValueError, match="at least two knots"):
        path_losses(a, mean_squared_error, *data(), end_points(a, a)[:1])
    with pytest.raises(ValueError, match="basis must have shape"):
        path_losses(a, mean_squared_error, *data(), torch.zeros(2, 3, dtype=torch.float64))
