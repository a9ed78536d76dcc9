import pytest
import torch

from dlexp.measures.landscape import (
    centred_grid,
    negative_second_difference_share,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


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
