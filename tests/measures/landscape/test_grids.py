import copy

import pytest
import torch
from torch import Tensor, nn

from dlexp.measures.functional import mean_squared_error, parameter_vector
from dlexp.measures.landscape import (
    centred_grid,
    loss_line,
    loss_plane,
    negative_second_difference_share,
    random_direction,
)
from dlexp.models.mlp import MLP


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def setting(dtype: torch.dtype = torch.float64) -> tuple[MLP, Tensor, Tensor]:
    model = MLP(input_dim=5, width=20, depth=1, generator=generator()).to(dtype)
    x = torch.randn(100, 5, generator=generator(1), dtype=torch.float64).to(dtype)
    return model, x, torch.sin(x.sum(dim=1, keepdim=True))


def loss_at(model: nn.Module, x: Tensor, y: Tensor, vector: Tensor) -> float:
    model = copy.deepcopy(model)
    nn.utils.vector_to_parameters(vector, model.parameters())
    with torch.no_grad():
        return float(((model(x) - y) ** 2).mean())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_centre_is_the_loss_of_the_model_or_of_the_origin(dtype: torch.dtype) -> None:
    model, x, y = setting(dtype)
    directions = torch.stack([random_direction(model, generator=generator(s)) for s in (2, 3)])
    plane = loss_plane(model, mean_squared_error, x, y, directions, points=21)
    assert float(plane.first[10]) == 0.0
    tolerance = 10 * torch.finfo(dtype).eps
    own = parameter_vector(model)
    assert float(plane.losses[10, 10]) == pytest.approx(loss_at(model, x, y, own), rel=tolerance)
    line = loss_line(model, mean_squared_error, x, y, directions[0], origin=2 * own, points=3)
    assert float(line.losses[1]) == pytest.approx(loss_at(model, x, y, 2 * own), rel=tolerance)


def test_quadratic_bowl_in_closed_form() -> None:
    # Loss of a linear model at its minimum: |X d|^2 a^2 / n above it.
    x = torch.randn(30, 4, generator=generator(), dtype=torch.float64)
    y = torch.randn(30, 1, generator=generator(1), dtype=torch.float64)
    model = nn.Linear(4, 1, bias=False).double()
    solution = torch.linalg.lstsq(x, y).solution
    direction = torch.randn(4, generator=generator(2), dtype=torch.float64)
    line = loss_line(model, mean_squared_error, x, y, direction, origin=solution[:, 0], extent=2, points=11)
    least = ((x @ solution - y) ** 2).mean()
    expected = least + line.coordinates**2 * ((x @ direction) ** 2).mean()
    torch.testing.assert_close(line.losses, expected, rtol=1e-12, atol=0)
    assert negative_second_difference_share(line.losses) == 0.0


@pytest.mark.parametrize(("points", "extent"), [(3, 1.0), (21, 0.1), (51, 1.0), (101, 3.7)])
def test_grid_is_symmetric_about_an_exact_zero(points: int, extent: float) -> None:
    grid = centred_grid(points, extent)
    assert len(grid) == points
    assert float(grid[points // 2]) == 0.0
    assert float(grid[-1]) == extent
    assert torch.equal(grid, -grid.flip(0))
    torch.testing.assert_close(
        grid.diff(), torch.full((points - 1,), 2 * extent / (points - 1), dtype=torch.float64)
    )


def test_share_of_negative_second_differences() -> None:
    a = torch.linspace(-3, 3, 61, dtype=torch.float64)
    assert negative_second_difference_share(a**2) == 0.0
    assert negative_second_difference_share(-(a**2)) == 1.0
    # sin is concave on (0, 3]: 29 inner points; at 0 itself the difference is rounding.
    assert negative_second_difference_share(torch.sin(a)) == pytest.approx(29 / 59)
    assert negative_second_difference_share(0.1 * a + 7) == 0.0
