"""Networks whose weights are written down, not trained: what a given size can represent.

Functions of one variable return an ``nn.Sequential`` (N, 1) -> (N, 1) in the dtype and on the device of
the numbers that they are given. Bumps stand at the nodes ``linspace(lower, upper, n)``; their heights are the
target's values there: ``hats(f(nodes(20)))``.
"""

import torch
from torch import Tensor, nn

from dlexp.models.layers import ScaledLinear


def nodes(n: int, *, lower: float = -1.0, upper: float = 1.0, dtype: torch.dtype | None = None) -> Tensor:
    """Return the n >= 2 evenly spaced bump centres (n,), both ends of the interval included."""
    _require(n >= 2, f"n={n} centres cannot span an interval; allowed: 2 or more")
    _require(lower < upper, f"lower={lower} and upper={upper} enclose no interval; allowed: lower < upper")
    return torch.linspace(lower, upper, n, dtype=dtype)


def notebook_sigmoid_bumps(heights: Tensor, *, lower: float = -1.0, upper: float = 1.0) -> nn.Sequential:
    """Sum of overlapping sigmoid bumps, 2n hidden units; no partition of unity.

    ``sum_j f_j (sigma((x - c_j)/w + 1) - sigma((x - c_j)/w - 1))`` with w = (upper - lower) / n, as the
    notebook that this project grew from builds it. A bump has area 2w, the spacing is (upper - lower) / (n
    - 1): the bumps sum to about 2 (n - 1) / n inside the interval, so more of them tend to 2 f.
    """
    centres, _ = _nodes_of(heights, lower, upper)
    width = (upper - lower) / len(heights)
    slopes = torch.full_like(heights, 1 / width).repeat(2)
    biases = torch.cat([1 - centres / width, -1 - centres / width])
    return _two_layer(nn.Sigmoid(), slopes, biases, torch.cat([heights, -heights]))


def notebook_relu_bumps(heights: Tensor, *, lower: float = -1.0, upper: float = 1.0) -> nn.Sequential:
    """Sum of triangular bumps of half-width (upper - lower) / n, 3n hidden units, as the notebook builds it.

    They are narrower than their spacing (upper - lower) / (n - 1), so they nearly form a partition of unity.
    """
    centres, _ = _nodes_of(heights, lower, upper)
    return _triangles(centres, heights, (upper - lower) / len(heights))


def hats(heights: Tensor, *, lower: float = -1.0, upper: float = 1.0) -> nn.Sequential:
    """Sum of triangular bumps of half-width h, the spacing: a partition of unity, 3n hidden units.

    It interpolates linearly between the nodes: sup error <= h^2 max|f''| / 8.
    """
    centres, spacing = _nodes_of(heights, lower, upper)
    return _triangles(centres, heights, spacing)


def sigmoid_boxes(
    heights: Tensor,
    *,
    lower: float = -1.0,
    upper: float = 1.0,
    steepness: float = 10.0,
    closed_ends: bool = True,
) -> nn.Sequential:
    """Sum of smoothed boxes ``sigma(k(x - c_j + h/2)) - sigma(k(x - c_j - h/2))``, k = steepness / h.

    h is the spacing of the nodes. The sum telescopes to ``sigma(k(x - lower + h/2)) - sigma(k(x - upper -
    h/2))``, which at the ends falls short of 1 by sigma(-steepness/2) however many boxes there are (2n
    hidden units). With ``closed_ends`` the outer boxes reach to infinity: n - 1 steps ``sigma(k(x - m_j))``
    at the midpoints m_j and an output bias, an exact partition of unity with sup error <= Lip(f) h (1/2 + 2
    ln 2 / steepness).
    """
    _require(steepness > 0, f"steepness={steepness} gives no boxes; allowed: above 0")
    centres, spacing = _nodes_of(heights, lower, upper)
    slope = steepness / spacing
    if closed_ends:
        midpoints = (centres[:-1] + centres[1:]) / 2
        slopes = torch.full_like(midpoints, slope)
        return _two_layer(nn.Sigmoid(), slopes, -slope * midpoints, heights.diff(), heights[0])
    slopes = torch.full_like(heights, slope).repeat(2)
    edges = torch.cat([centres - spacing / 2, centres + spacing / 2])
    return _two_layer(nn.Sigmoid(), slopes, -slope * edges, torch.cat([heights, -heights]))


def piecewise_linear_interpolant(knots: Tensor, values: Tensor) -> nn.Sequential:
    """One hidden ReLU layer of N units through N + 1 points; constant left of the first knot.

    ``v_0 + s_0 relu(x - t_0) + sum_i (s_i - s_(i-1)) relu(x - t_i)`` with the slopes s_i of the pieces. For
    x^2 on [0, 1] with even knots its sup error is 1 / (4 N^2), the least of all interpolants with N pieces.

    Shapes: ``knots`` and ``values`` (N + 1,), N >= 1. Raises ``ValueError`` unless the knots increase.
    """
    _require(
        knots.ndim == 1 and knots.shape == values.shape and len(knots) >= 2,
        f"knots {tuple(knots.shape)} and values {tuple(values.shape)} differ; allowed: (N + 1,) each, N >= 1",
    )
    _require(bool((knots.diff() > 0).all()), "knots do not increase; allowed: strictly increasing")
    slopes = values.diff() / knots.diff()
    changes = torch.cat([slopes[:1], slopes.diff()])
    return _two_layer(nn.ReLU(), torch.ones_like(changes), -knots[:-1], changes, values[0])


def tent_map(depth: int, *, dtype: torch.dtype | None = None) -> nn.Sequential:
    """The tent ``T(x) = 2 relu(x) - 4 relu(x - 1/2)`` composed ``depth`` times: ``depth`` layers of 2 units.

    On [0, 1] a sawtooth with 2^depth linear pieces; one hidden layer needs at least 2^depth - 1 units for it
    (Telgarsky 2015).
    """
    _require(depth >= 1, f"depth={depth} gives no tent; allowed: 1 or more")
    split, bias = [[1.0], [1.0]], [0.0, -0.5]
    layers: list[nn.Module] = [_linear(split, bias, dtype), nn.ReLU()]
    for _ in range(depth - 1):
        layers += [_linear([[2.0, -4.0], [2.0, -4.0]], bias, dtype), nn.ReLU()]
    return nn.Sequential(*layers, _linear([[2.0, -4.0]], [0.0], dtype))


class MultilinearHats(nn.Module):
    """Products of hats on a regular grid: d-linear interpolation by n^d bumps.

    ``f(x) = sum_j heights[j_1, ..., j_d] prod_i hat((x_i - c_(j_i)) / h)`` with n nodes on each axis. The
    count is the cost of this construction, not a lower bound.

    Shapes: ``heights`` (n, ..., n) with d axes, ``x`` (N, d) -> (N, 1).
    """

    centres: Tensor

    def __init__(self, heights: Tensor, *, lower: float = -1.0, upper: float = 1.0) -> None:
        super().__init__()
        _require(
            heights.ndim >= 1 and len(set(heights.shape)) == 1,
            f"heights has the shape {tuple(heights.shape)}; allowed: (n, ..., n)",
        )
        centres = nodes(heights.shape[0], lower=lower, upper=upper, dtype=heights.dtype)
        self.heights = nn.Parameter(heights.clone())
        self.register_buffer("centres", centres.to(heights.device))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        n, d = len(self.centres), self.heights.ndim
        _require(x.shape[1:] == (d,), f"x has the shape {tuple(x.shape)}; allowed: (N, {d})")
        spacing = self.centres[1] - self.centres[0]
        weights = torch.relu(1 - (x[:, :, None] - self.centres).abs() / spacing)
        partial = weights[:, 0] @ self.heights.reshape(n, -1)
        for axis in range(1, d):
            partial = (weights[:, axis, None] @ partial.reshape(len(x), n, -1)).squeeze(1)
        return partial


def _triangles(centres: Tensor, heights: Tensor, half_width: float) -> nn.Sequential:
    slopes = torch.full_like(heights, 1 / half_width).repeat(3)
    biases = torch.cat([1 - centres / half_width, -centres / half_width, -1 - centres / half_width])
    return _two_layer(nn.ReLU(), slopes, biases, torch.cat([heights, -2 * heights, heights]))


def _nodes_of(heights: Tensor, lower: float, upper: float) -> tuple[Tensor, float]:
    _require(
        heights.ndim == 1 and heights.is_floating_point(),
        f"heights is {heights.dtype} of shape {tuple(heights.shape)}; allowed: floating point, (n,)",
    )
    centres = nodes(len(heights), lower=lower, upper=upper, dtype=heights.dtype).to(heights.device)
    return centres, (upper - lower) / (len(heights) - 1)


def _two_layer(
    activation: nn.Module, slopes: Tensor, biases: Tensor, readout: Tensor, offset: Tensor | None = None
) -> nn.Sequential:
    offset = torch.zeros_like(readout[0]) if offset is None else offset
    hidden = _layer(slopes[:, None], biases)
    return nn.Sequential(hidden, activation, _layer(readout[None, :], offset[None]))


def _linear(weight: list[list[float]], bias: list[float], dtype: torch.dtype | None) -> ScaledLinear:
    return _layer(torch.tensor(weight, dtype=dtype), torch.tensor(bias, dtype=dtype))


def _layer(weight: Tensor, bias: Tensor) -> ScaledLinear:
    # nn.Linear would draw its initial weights from the global generator.
    layer = ScaledLinear(weight.shape[1], weight.shape[0])
    layer.weight = nn.Parameter(weight.detach().clone())
    layer.bias = nn.Parameter(bias.detach().clone())
    return layer


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
