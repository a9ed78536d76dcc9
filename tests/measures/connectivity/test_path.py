import pytest
import torch

from dlexp.measures.connectivity import BezierCurve, PolygonalChain, barrier, path_losses
from dlexp.measures.functional import mean_squared_error


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


def test_a_polyline_passes_its_knots_and_their_midpoints() -> None:
    knots = torch.tensor([[0.0, 0.0], [2.0, 0.0], [2.0, 4.0]])
    model, one, zero = torch.nn.Linear(1, 1), torch.ones(1, 1), torch.zeros(1, 1)
    losses = path_losses(model, mean_squared_error, one, zero, knots, points=5)
    assert losses.tolist() == [0.0, 1.0, 4.0, 16.0, 36.0]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        # Ends 1 and 3; the straight line between them is 1, 1.5, 2, 2.5, 3.
        ([1.0, 3.5, 4.0, 2.0, 3.0], (2.0, 1.0, 2.0)),
        # The highest point over the line need not be the highest point.
        ([1.0, 4.0, 3.0, 4.2, 5.0], (2.0, 0.0, 2.0)),
        ([0.0, 0.5, 0.0, 2.0], (0.0, 0.0, 1.0)),
        ([1.0, 0.2, 1.0], (0.0, 0.0, 0.0)),
    ],
)
def test_barriers_computed_by_hand(losses: list[float], expected: tuple[float, ...]) -> None:
    paths = torch.tensor([losses, losses], dtype=torch.float64)  # many paths at once
    for definition, height in zip(("linear", "max_end", "mean_end"), expected, strict=True):
        assert barrier(paths, definition).tolist() == [height] * 2
    assert barrier(paths[0]) == expected[0]
    assert bool(barrier(torch.tensor([1.0, torch.nan, 1.0])).isnan())
