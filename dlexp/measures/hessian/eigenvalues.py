"""The extreme eigenvalues of the Hessian, by block Lanczos with full reorthogonalisation."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_one_of
from dlexp.measures.functional import Loss, parameter_vector
from dlexp.measures.hessian.operators import Operator, hessian_operator, require_vectors
from dlexp.measures.hessian.random import random_vectors
from dlexp.measures.memory import require_memory

End = Literal["largest", "smallest", "both"]

# Random rows beside a warm start, and pairs beyond the wanted that must converge with them: a start that is
# an eigenvector already would end the search, and an eigenvalue that has overtaken it would be missed.
_GUARDS = 1
# The loosest tolerance at which the search ends: by one of 1e-2 it ended below the top of close spectra.
_LOOSEST = 1e-3


class Eigenpairs(NamedTuple):
    """Eigenvalues, and how far they can be trusted.

    Attributes:
        eigenvalues: (k,) in the order asked for; each is within its residual of an eigenvalue of H.
        eigenvectors: (k, P), orthonormal rows.
        residuals: (k,) the norms |H v - lambda v|, from products with H, not from the recurrence.
        products: the number of Hessian-vector products that were spent.
        converged: whether every residual is at most the tolerance times the largest |eigenvalue| seen.
    """

    eigenvalues: Tensor
    eigenvectors: Tensor
    residuals: Tensor
    products: int
    converged: bool


def top_eigenvalues(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    k: int = 1,
    *,
    end: End = "largest",
    start: Tensor | None = None,
    tolerance: float | None = None,
    max_products: int | None = None,
    generator: torch.Generator | None = None,
    batch_size: int | None = None,
) -> Eigenpairs:
    """Return the ``k`` algebraically largest eigenvalues of the Hessian, largest first.

    ``end="smallest"`` returns the k smallest, smallest first; ``"both"`` the k largest and then the k
    smallest (lambda_max, lambda_min for k = 1), both from one Krylov space.

    Further arguments as in :func:`lanczos_eigenvalues`; ``start`` None starts from random vectors of
    ``generator`` (None: a fresh one at seed 0), a tensor (P,) or (b, P) from these, such as the eigenvectors
    found some training steps ago. ``batch_size`` as in
    :func:`~dlexp.measures.hessian.operators.hessian_operator`.

    Raises ``ValueError`` for a k that is below 1 or beyond the number of parameters, an unknown end, and a
    start of the wrong shape.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> top_eigenvalues(nn.Linear(1, 1), mean_squared_error, torch.ones(4, 1), torch.zeros(4, 1)).eigenvalues
    tensor([4.])
    """
    like = parameter_vector(model)
    operator = hessian_operator(model, loss_fn, x, y, batch_size=batch_size)
    return lanczos_eigenvalues(
        operator,
        like,
        k,
        end=end,
        start=start,
        tolerance=tolerance,
        max_products=max_products,
        generator=generator,
    )


def lanczos_eigenvalues(
    operator: Operator,
    like: Tensor,
    k: int = 1,
    *,
    end: End = "largest",
    start: Tensor | None = None,
    tolerance: float | None = None,
    max_products: int | None = None,
    generator: torch.Generator | None = None,
) -> Eigenpairs:
    """Return the ``k`` extreme eigenvalues of a symmetric operator on vectors like ``like`` (P,).

    Block Lanczos (Golub & Van Loan 2013, Matrix Computations, section 10.3) with blocks of k vectors, so
    that an eigenvalue of multiplicity up to k is found as often as it occurs; each block is orthogonalised
    twice against all before it (Parlett 1998, "twice is enough"), which rules out ghost eigenvalues. The
    projection of H on the whole basis is kept. The search ends when the residuals are at most ``tolerance``
    (None: the square root of the machine precision; above 1e-3 it counts as that) times the largest |Ritz
    value|, at a breakdown, where the space is invariant and the residuals vanish, or after ``max_products``
    products (None: 1000, or 20 for each pair wanted if that is more); ``converged`` tells. So that no
    eigenvalue is overlooked, a random vector goes beside a warm start, and one pair more than was asked for
    must have converged to 1e-3. ``start`` and errors as in :func:`top_eigenvalues`.

    >>> matrix = torch.diag(torch.tensor([1.0, 2.0, 5.0]))
    >>> lanczos_eigenvalues(lambda v: v @ matrix, torch.zeros(3)).eigenvalues
    tensor([5.])
    """
    size = len(like)
    require_one_of(("largest", "smallest", "both"), end=end)
    wanted = 2 * k if end == "both" else k
    if not 1 <= wanted <= size:
        limit = size // 2 if end == "both" else size
        raise ValueError(f"k={k} eigenvalues of {size} parameters; allowed: 1 to {limit} for end={end!r}")
    if tolerance is None:
        tolerance = float(torch.finfo(like.dtype).eps) ** 0.5
    limit = min(size, max(1000, 20 * wanted) if max_products is None else max(max_products, wanted))
    generator = generator or torch.Generator().manual_seed(0)

    guarded = min(k + _GUARDS, size // 2 if end == "both" else size)
    block = _start_block(start, like, k, generator)
    basis = block[:0]
    projected = like.new_zeros(0, 0)
    scale, next_check = 0.0, wanted
    while True:
        needed = 2 * (len(basis) + len(block)) * size * like.element_size()
        require_memory(needed, like.device, "the basis of the Lanczos iteration")
        basis = torch.cat([basis, block])
        outside, coefficients = _orthogonalize(operator(block), basis)
        projected = _border(projected, coefficients)
        last = len(basis) >= limit
        if last or len(basis) >= next_check:
            values, vectors = torch.linalg.eigh(projected)
            scale = float(values.abs().max())
            chosen = _choose(len(values), k, end)
            checked = _choose(len(values), min(guarded, len(values)), end)
            # H q leaves the space from the last block alone, so this is the residual of each Ritz pair.
            estimates = torch.linalg.vector_norm(vectors[-len(block) :, checked].T @ outside, dim=1)
            found = torch.linalg.vector_norm(vectors[-len(block) :, chosen].T @ outside, dim=1)
            ends = float(found.max()) <= min(tolerance, _LOOSEST) * scale
            if last or (ends and float(estimates.max()) <= _LOOSEST * scale):
                break
            next_check = len(basis) + max(1, len(basis) // 20)
        else:
            scale = max(scale, float(coefficients.abs().max()))
        block = _next_block(outside, basis, scale, generator)[: size - len(basis)]
    eigenvalues, eigenvectors = values[chosen], vectors[:, chosen].T @ basis
    images = operator(eigenvectors)
    residuals = torch.linalg.vector_norm(images - eigenvalues[:, None] * eigenvectors, dim=1)
    # No method gets below the rounding of the products themselves.
    rounding = 10 * float(torch.finfo(like.dtype).eps) * size**0.5
    converged = bool((residuals <= (tolerance + rounding) * scale).all())
    return Eigenpairs(eigenvalues, eigenvectors, residuals, len(basis) + wanted, converged)


def _start_block(start: Tensor | None, like: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """Return at least k orthonormal rows: random ones, or a warm start with random rows beside it."""
    if start is None:
        return _orthonormal(random_vectors(k, like, generator=generator))
    rows = require_vectors(start, like, "start")[: len(like)]
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    rows = rows / lengths.clamp_min(torch.finfo(like.dtype).tiny)
    random = random_vectors(max(k - len(rows), 0) + _GUARDS, like, generator=generator) / len(like) ** 0.5
    return _orthonormal(torch.cat([rows, random])[: len(like)])


def _orthonormal(rows: Tensor) -> Tensor:
    columns: Tensor = torch.linalg.qr(rows.T).Q
    return columns.T.contiguous()


def _orthogonalize(rows: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Return the part of ``rows`` (b, P) outside the span of ``basis`` (m, P), and the coefficients in it."""
    first = rows @ basis.T
    rows = rows - first @ basis
    second = rows @ basis.T
    return rows - second @ basis, first + second


def _border(projected: Tensor, coefficients: Tensor) -> Tensor:
    """Append to the projection (m, m) the last block's rows (b, m + b), and their mirror image."""
    old = len(projected)
    bordered = coefficients.new_empty(coefficients.shape[1], coefficients.shape[1])
    bordered[:old, :old] = projected
    bordered[old:] = coefficients
    bordered[:old, old:] = coefficients[:, :old].T
    corner = coefficients[:, old:]
    bordered[old:, old:] = (corner + corner.T) / 2
    return bordered


def _choose(count: int, k: int, end: End) -> list[int]:
    """Positions of the wanted among ``count`` ascending values."""
    largest, smallest = [count - 1 - i for i in range(k)], list(range(k))
    return largest if end == "largest" else smallest if end == "smallest" else largest + smallest


def _next_block(outside: Tensor, basis: Tensor, scale: float, generator: torch.Generator) -> Tensor:
    """Return orthonormal rows that span ``outside`` (b, P), or after a breakdown a random row off the basis.

    Directions no longer than the rounding of H's products are noise: the space is invariant along them.
    """
    _, lengths, directions = torch.linalg.svd(outside, full_matrices=False)
    rounding = 10 * torch.finfo(outside.dtype).eps * outside.shape[1] ** 0.5
    kept = directions[lengths > rounding * scale]
    if len(kept) == 0:
        kept = random_vectors(1, basis[0], generator=generator)
    # A short remainder was normalised with its rounding errors: clear them.
    return _orthonormal(_orthogonalize(kept, basis)[0])
