"""The density of the Hessian's eigenvalues, by stochastic Lanczos quadrature."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_at_least, require_positive
from dlexp.measures.functional import Loss, parameter_vector
from dlexp.measures.hessian.operators import Operator, hessian_operator
from dlexp.measures.hessian.random import Distribution, random_vectors
from dlexp.measures.memory import require_memory


class SpectralDensity(NamedTuple):
    """A spectrum as a quadrature and as a smooth density.

    Attributes:
        grid: (G,) positions.
        density: (G,) the density there, of integral 1: the quadrature convolved with a Gaussian.
        nodes: (n, m) Ritz values of each probe.
        weights: (n, m) their weights, of sum 1 for each probe; ``(weights * f(nodes)).sum(1)`` estimates
            tr f(H) / P once for each probe.
        kernel_width: the Gaussian's standard deviation.
    """

    grid: Tensor
    density: Tensor
    nodes: Tensor
    weights: Tensor
    kernel_width: float


def spectral_density(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    *,
    n_probes: int = 5,
    n_steps: int = 60,
    kernel_width: float | None = None,
    grid: Tensor | None = None,
    distribution: Distribution = "rademacher",
    generator: torch.Generator | None = None,
    batch_size: int | None = None,
) -> SpectralDensity:
    """Estimate the density of the Hessian's eigenvalues, sum_i delta(t - lambda_i) / P.

    Stochastic Lanczos quadrature (Golub & Welsch 1969; Ghorbani, Krishnan & Xiao 2019): each probe's
    tridiagonal matrix gives nodes and weights that integrate polynomials of degree 2 n_steps - 1 exactly.
    All probes advance together, with full reorthogonalisation.

    ``kernel_width`` None takes 1 % of the range of the nodes; ``grid`` None takes 500 points over that range
    and five kernel widths on either side. ``generator`` None starts a fresh one at seed 0; ``batch_size``
    as in :func:`~dlexp.measures.hessian.operators.hessian_operator`.

    Raises ``ValueError`` for fewer than one probe or step and a kernel width that is not positive,
    ``MemoryError`` with the estimate if the n_probes * n_steps basis vectors do not fit.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> model, x, y = nn.Linear(1, 1), torch.ones(4, 1), torch.zeros(4, 1)
    >>> density = spectral_density(model, mean_squared_error, x, y, distribution="gaussian")
    >>> density.nodes.max().round(decimals=4)
    tensor(4.)
    """
    require_positive(kernel_width=kernel_width)
    like = parameter_vector(model)
    probes = random_vectors(n_probes, like, distribution=distribution, generator=generator)
    operator = hessian_operator(model, loss_fn, x, y, batch_size=batch_size)
    nodes, weights = lanczos_quadrature(operator, probes, n_steps)
    low, high = float(nodes.min()), float(nodes.max())
    if kernel_width is None:
        # A single eigenvalue has no range: any small width draws its peak.
        kernel_width = 0.01 * (high - low) or 0.01 * abs(high) or 0.01
    if grid is None:
        margin = 5 * kernel_width
        grid = torch.linspace(low - margin, high + margin, 500, dtype=like.dtype, device=like.device)
    density = _smooth(grid, nodes.flatten(), weights.flatten() / n_probes, kernel_width)
    return SpectralDensity(grid, density, nodes, weights, kernel_width)


def lanczos_quadrature(operator: Operator, starts: Tensor, n_steps: int) -> tuple[Tensor, Tensor]:
    """Return nodes t and weights w (n, m): sum_j w_j f(t_j) = s^T f(H) s / s^T s, s the rows of ``starts``.

    Exact for polynomials f of degree up to 2 m - 1, m = min(n_steps, P). ``starts`` is (n, P). Where the
    Krylov space of a row is exhausted early, its remaining weights are 0 and the quadrature is exact for
    every f.

    Raises ``ValueError`` for fewer than one step, ``MemoryError`` if the basis does not fit.

    >>> nodes, weights = lanczos_quadrature(lambda v: v * torch.tensor([1.0, 3.0]), torch.ones(1, 2), 2)
    >>> (weights * nodes).sum().round(decimals=4)  # the trace over the dimension
    tensor(2.)
    """
    require_at_least(1, n_steps=n_steps)
    count, size = starts.shape
    steps = min(n_steps, size)
    require_memory(
        count * steps * size * starts.element_size(), starts.device, "the Lanczos basis of all probes"
    )
    eps = float(torch.finfo(starts.dtype).eps)
    basis = starts.new_zeros(count, steps, size)
    tridiagonal = starts.new_zeros(count, steps, steps)
    scale = starts.new_zeros(count)
    vectors = starts / torch.linalg.vector_norm(starts, dim=1, keepdim=True)
    for step in range(steps):
        basis[:, step] = vectors
        # Rows times matrices: the same products with columns are five times slower on a CPU.
        images = operator(vectors)[:, None]
        done = basis[:, : step + 1]
        first = torch.bmm(images, done.mT)
        images = torch.baddbmm(images, first, done, alpha=-1)
        second = torch.bmm(images, done.mT)
        images = torch.baddbmm(images, second, done, alpha=-1)[:, 0]
        tridiagonal[:, step, step] = (first + second)[:, 0, -1]
        if step + 1 == steps:
            break
        lengths = torch.linalg.vector_norm(images, dim=1)
        scale = torch.maximum(scale, torch.maximum(lengths, tridiagonal[:, step, step].abs()))
        # A remainder as small as the rounding of H's products means that the space is invariant. From here on
        # this probe multiplies zeros, which adds decoupled entries, of weight 0, to its matrix.
        broken = lengths <= 10 * eps * size**0.5 * scale
        lengths = lengths.masked_fill(broken, 0)
        tridiagonal[:, step, step + 1] = tridiagonal[:, step + 1, step] = lengths
        vectors = images / lengths.masked_fill(broken, 1)[:, None]
        vectors[broken] = 0
    nodes, eigenvectors = torch.linalg.eigh(tridiagonal)
    return nodes, eigenvectors[:, 0, :] ** 2


def _smooth(grid: Tensor, nodes: Tensor, weights: Tensor, width: float) -> Tensor:
    distances = (grid[:, None] - nodes[None, :]) / width
    return torch.exp(-0.5 * distances**2) @ weights / (width * math.sqrt(2 * math.pi))
