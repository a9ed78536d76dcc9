"""Statistics of kernels, on kernels whose values are known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dlexp.measures.ntk import (
    kernel_eigenvalues,
    kernel_matrix,
    kernel_statistics,
    target_alignment,
)


def rotated(*values: float) -> Tensor:
    """A symmetric matrix with these eigenvalues."""
    draw = torch.randn(len(values), len(values), generator=torch.Generator().manual_seed(0)).double()
    basis = torch.linalg.qr(draw).Q
    return basis @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ basis.T


def statistics(kernel: Tensor, initial: Tensor | None = None) -> dict[str, float]:
    return kernel_statistics(kernel, kernel if initial is None else initial, torch.ones(len(kernel), 1))


def test_spectrum_and_drift() -> None:
    kernel = rotated(0.5, 2.0, 10.0)
    torch.testing.assert_close(kernel_eigenvalues(kernel), torch.tensor([0.5, 2, 10]).double())
    found = statistics(kernel)
    assert [found[name] for name in ("drift", "lambda_max", "condition")] == pytest.approx([0, 10, 20])
    assert statistics(rotated(0.0, 1.0, 2.0))["condition"] == math.inf
    assert statistics(2 * kernel, kernel)["drift"] == pytest.approx(1)
    start = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    assert statistics(start + torch.tensor([[0.0, 0.35], [0.35, 0.0]]), start)["drift"] == pytest.approx(
        0.35 * 2**0.5 / 5
    )


def test_what_is_not_defined_is_nan() -> None:
    kernel, zero = torch.eye(2), torch.zeros(2, 2)
    assert math.isnan(statistics(kernel, zero)["drift"])
    assert math.isnan(statistics(zero, kernel)["alignment"])
    broken = statistics(zero + math.inf, kernel)
    assert [name for name, value in broken.items() if math.isnan(value)] == [
        "alignment",
        "lambda_max",
        "condition",
    ]


def test_condition_is_infinite_beyond_the_kernels_own_precision() -> None:
    kernel = torch.diag(torch.tensor([1.0, 1e-9], dtype=torch.float64))
    assert statistics(kernel)["condition"] == pytest.approx(1e9)
    assert statistics(kernel.float())["condition"] == math.inf


def test_matrix_of_several_outputs_pairs_rows_with_outputs() -> None:
    # A Kronecker product: kernel over rows times kernel over outputs.
    over_rows, over_outputs = rotated(1.0, 3.0, 4.0), torch.tensor([[2.0, 1.0], [1.0, 2.0]]).double()
    kernel = over_rows[:, :, None, None] * over_outputs
    np.testing.assert_allclose(kernel_matrix(kernel).numpy(), np.kron(over_rows, over_outputs))
    torch.testing.assert_close(kernel_eigenvalues(kernel), torch.tensor([1, 3, 3, 4, 9, 12]).double())


def test_alignment() -> None:
    y = torch.tensor([1.0, -2.0, 2.0], dtype=torch.float64)
    assert target_alignment(torch.outer(y, y), y) == pytest.approx(1)
    orthogonal = torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64)
    assert target_alignment(torch.outer(orthogonal, orthogonal), y) == pytest.approx(0, abs=1e-15)
    assert target_alignment(torch.eye(3), y) == pytest.approx(1 / 3**0.5)
    assert target_alignment(7 * rotated(1.0, 2.0, 3.0), y) == pytest.approx(
        target_alignment(rotated(1.0, 2.0, 3.0), -y)
    )


def test_alignment_of_several_outputs() -> None:
    y = torch.tensor([[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]], dtype=torch.float64)
    kernel = rotated(1.0, 2.0, 5.0)
    gram = (y @ y.T).numpy()
    expected = np.sum(kernel.numpy() * gram) / np.linalg.norm(kernel) / np.linalg.norm(gram)
    assert target_alignment(kernel, y) == pytest.approx(expected)
    full = kernel[:, :, None, None] * torch.tensor([[1.0, 0.5], [0.5, 2.0]]).double()
    flat = y.flatten().numpy()
    matrix = np.kron(kernel, [[1, 0.5], [0.5, 2]])
    expected = flat @ matrix @ flat / np.linalg.norm(matrix) / (flat @ flat)
    assert target_alignment(full, y) == pytest.approx(expected)
