"""What studies report of a kernel: its drift, its alignment with the targets and its spectrum."""

import math

import torch
from torch import Tensor


def kernel_matrix(kernel: Tensor) -> Tensor:
    """Return a kernel (N1, N2) as it is, (N1, N2, K, K) as the matrix (N1 K, N2 K) over (row, output) pairs.

    Raises ``ValueError`` for another shape.

    >>> kernel_matrix(torch.ones(2, 3, 4, 4)).shape
    torch.Size([8, 12])
    """
    if kernel.ndim == 2:
        return kernel
    if kernel.ndim != 4 or kernel.shape[2] != kernel.shape[3]:
        raise ValueError(f"kernel has shape {tuple(kernel.shape)}; allowed: (N1, N2) or (N1, N2, K, K)")
    n1, n2, outputs, _ = kernel.shape
    return kernel.permute(0, 2, 1, 3).reshape(n1 * outputs, n2 * outputs)


def relative_distance(values: Tensor, reference: Tensor) -> float:
    """Return |values - reference| / |reference| (Frobenius): 0 where both are 0, NaN where the reference is.

    >>> relative_distance(torch.tensor([3.0, 1.0]), torch.tensor([3.0, 5.0])) == 4 / 34**0.5
    True
    >>> relative_distance(torch.ones(2), torch.zeros(2))
    nan
    """
    reference = reference.cpu().double()
    distance, norm = float((values.cpu().double() - reference).norm()), float(reference.norm())
    if distance == 0:
        return 0.0
    return distance / norm if norm else math.nan


def target_alignment(kernel: Tensor, y: Tensor) -> float:
    """Return the alignment ``<K, y y^T>_F / (|K|_F |y y^T|_F)`` in [0, 1] (Cristianini et al. 2001, def. 1).

    Shapes: ``kernel`` (N, N) with ``y`` (N,) or (N, K), for which y y^T sums over outputs; or (N, N, K, K)
    with (N, K), all pairs of row and output.

    Raises ``ValueError`` if the shapes do not fit or the kernel or the targets are zero.

    >>> y = torch.tensor([1.0, -1.0])
    >>> round(target_alignment(torch.outer(y, y), y), 6)
    1.0
    """
    matrix = _square_matrix(kernel)
    if y.ndim not in (1, 2) or (kernel.ndim == 4 and tuple(y.shape) != (len(kernel), kernel.shape[2])):
        raise ValueError(f"y has shape {tuple(y.shape)}, but kernel {tuple(kernel.shape)}")
    targets = y.double().reshape(len(matrix), -1) if len(y) == len(kernel) else None
    if targets is None:
        raise ValueError(f"y has {len(y)} rows, but kernel {len(kernel)}")
    # |Y Y^T|_F = |Y^T Y|_F, a small matrix.
    norm = matrix.norm() * (targets.T @ targets).norm()
    if norm == 0:
        raise ValueError("kernel or y is zero, so that they have no alignment")
    return float((targets * (matrix @ targets)).sum() / norm)


def kernel_eigenvalues(kernel: Tensor) -> Tensor:
    """Return the eigenvalues of a symmetric kernel, in ascending order: (N,), or (N K,) for K outputs.

    Raises ``ValueError`` for a kernel that is not square, not symmetric or not finite.

    >>> kernel_eigenvalues(torch.diag(torch.tensor([1.0, 4.0])))
    tensor([1., 4.], dtype=torch.float64)
    """
    matrix = _square_matrix(kernel)
    if not bool(matrix.isfinite().all()):
        raise ValueError("kernel has entries that are not finite")
    tolerance = torch.finfo(kernel.dtype).eps ** 0.5 * matrix.abs().amax()
    if bool((matrix - matrix.T).abs().amax() > tolerance):
        raise ValueError(
            "kernel is not symmetric: eigenvalues need the kernel of a set of inputs with itself"
        )
    values: Tensor = torch.linalg.eigvalsh((matrix + matrix.T) / 2)
    return values


def kernel_statistics(kernel: Tensor, initial_kernel: Tensor, targets: Tensor) -> dict[str, float]:
    """Return ``drift``, ``alignment``, ``lambda_max`` and ``condition``; NaN where one is not defined.

    The drift is ``|K_t - K_0|_F / |K_0|_F`` (Huang & Yau 2020 bound it by O(1/width)), the condition
    ``lambda_max / lambda_min``, infinite where ``lambda_min <= eps * lambda_max`` with the eps of the
    kernel's own type, as its entries are no more exact.

    Shapes: both kernels (N, N) or (N, N, K, K), targets (N, K).

    >>> kernel = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    >>> kernel_statistics(kernel, torch.zeros(2, 2), torch.tensor([[1.0], [0.0]]))["condition"]
    2.0
    """
    is_finite = bool(kernel.isfinite().all())
    has_alignment = is_finite and bool(kernel.any()) and bool(targets.any())
    smallest, largest = kernel_eigenvalues(kernel)[[0, -1]].tolist() if is_finite else (math.nan, math.nan)
    is_singular = smallest <= torch.finfo(kernel.dtype).eps * largest
    return {
        "drift": relative_distance(kernel, initial_kernel) if bool(initial_kernel.any()) else math.nan,
        "alignment": target_alignment(kernel, targets) if has_alignment else math.nan,
        "lambda_max": largest,
        "condition": math.inf if is_singular else largest / smallest,
    }


def mean_kernel(kernel: Tensor) -> Tensor:
    """Return a kernel (N1, N2) as it is, of (N1, N2, K, K) the mean over the outputs' own kernels.

    >>> mean_kernel(torch.eye(2).expand(3, 3, 2, 2)).shape
    torch.Size([3, 3])
    """
    return kernel if kernel.ndim == 2 else kernel.diagonal(dim1=2, dim2=3).mean(dim=-1)


def _square_matrix(kernel: Tensor) -> Tensor:
    matrix = kernel_matrix(kernel).double()
    if matrix.shape[0] != matrix.shape[1] or len(matrix) == 0:
        raise ValueError(f"kernel has shape {tuple(kernel.shape)}; it must be square")
    return matrix
