"""The empirical neural tangent kernel of any module."""

import math
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_at_least, require_one_of
from dlexp.measures.batching import agree
from dlexp.measures.functional import FunctionalModel
from dlexp.measures.isolation import differentiable, ordinary
from dlexp.measures.memory import require_memory
from dlexp.measures.ntk.jacobian import ByJacobian
from dlexp.measures.ntk.layerwise import ByLayers, NotLayerwiseError

Method = Literal["auto", "layerwise", "jacobian"]

_PROBE_ROWS = 8
"""How many rows of each input the model's structure is tested on."""
_COMPARED_ROWS = 4
"""On how many rows the way by layers is compared with that by Jacobians."""
_CHUNK_BYTES = 2**28
"""What the factors or the Jacobian of one chunk of rows may take."""
_BLOCK_BYTES = 2**26
"""What one block of the kernel may take while it is computed."""
_HALVED_ABOVE = 256
"""Above so many rows of the matrix a symmetric block is computed by halves."""


class Way(Protocol):
    """A way to the kernel: features of rows, of which two sets give a block of it.

    Attributes:
        row_numbers: how many numbers the features of one row take.
        dtype: of the kernel.
    """

    row_numbers: int
    dtype: torch.dtype

    def features(self, x: Tensor) -> Any:
        """Return what the kernel needs of the rows of x."""

    def contract(self, first: Any, second: Any, block: Tensor) -> None:
        """Fill the kernel block (K, N1, K, N2) of the features of N1 and of N2 rows."""

    def part(self, features: Any, rows: slice) -> Any:
        """Return the features of some of the rows."""


def empirical_ntk(
    model: nn.Module,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    method: Method = "auto",
    chunk_rows: int | None = None,
) -> Tensor:
    """Return the tangent kernel of the model at its present parameters.

    ``Theta_kk'(x, x') = sum over trainable parameters p of df_k(x)/dp df_k'(x')/dp`` (Jacot et al. 2018,
    eq. 7), each row passed through the model by itself.

    Shapes: ``x1`` (N1, ...), ``x2`` (N2, ...), None for x1 itself; model outputs (N,) or (N, K). The kernel
    is (N1, N2) for one output and (N1, N2, K, K) for K > 1, in the model's type and on its device.

    ``method="auto"`` goes layer by layer where the model is a composition of linear layers used once each
    that acts row by row (compared with the Jacobian on a few rows, unless the model is a chain), and
    contracts the exact Jacobian otherwise; the other two force one way. ``chunk_rows`` limits the rows of x1
    and x2 held at a time; None chooses it by memory. Works under ``no_grad`` and ``inference_mode``.

    Raises ``ValueError`` for inputs that do not fit the model, outputs of other shapes, a forward pass that
    is random, changes buffers or mixes rows, and for ``method="layerwise"`` where it does not apply;
    ``MemoryError`` with an estimate if the kernel or one row's Jacobian would not fit.

    >>> empirical_ntk(nn.Linear(1, 1), torch.tensor([[1.0], [2.0]]))  # x x' + 1
    tensor([[2., 3.],
            [3., 5.]])
    """
    require_one_of(("auto", "layerwise", "jacobian"), method=method)
    require_at_least(1, chunk_rows=chunk_rows)
    if x2 is not None:
        x2 = ordinary(x2)
        if x2.shape[1:] != x1.shape[1:] or len(x2) == 0:
            raise ValueError(f"x2 has shape {tuple(x2.shape)}; allowed: rows like x1's {tuple(x1.shape)}")
        if (x2.dtype, x2.device) != (x1.dtype, x1.device):
            raise ValueError(f"x2 is {x2.dtype} on {x2.device}, but x1 {x1.dtype} on {x1.device}")
    x1 = ordinary(x1)
    probe = x1[:_PROBE_ROWS] if x2 is None else torch.cat([x1[:_PROBE_ROWS], x2[:_PROBE_ROWS]])
    function = FunctionalModel(model, probe)
    with differentiable():
        outputs = _count_outputs(function)
        if method != "jacobian":
            try:
                return _kernel(_layerwise(function, outputs), x1, x2, outputs, chunk_rows)
            except NotLayerwiseError as error:
                if method == "layerwise":
                    raise ValueError(f"method='layerwise' does not apply: {error}") from error
        return _kernel(ByJacobian(function, outputs), x1, x2, outputs, chunk_rows)


def _count_outputs(function: FunctionalModel) -> int:
    """Return K; refuse outputs that are not one vector for each row and rows that influence each other."""
    outputs, rows = function.probe, len(function.x)
    if outputs.ndim not in (1, 2) or len(outputs) != rows:
        raise ValueError(
            f"the model's outputs are {tuple(outputs.shape)} for {rows} rows; allowed: (N,) or (N, K)"
        )
    if function.is_chain and outputs.ndim == 2:
        return outputs.shape[1]
    with torch.no_grad():
        # Half first: batch statistics of a single row fail with an error of their own.
        for part in (max(1, rows // 2), 1):
            alone = function.outputs(function.x[:part].clone())
            if alone.numel() != outputs[:part].numel() or not agree(
                alone.reshape(part, -1), outputs[:part].reshape(part, -1)
            ):
                raise ValueError(
                    f"the outputs of {type(function.network).__name__} for one row depend on the other rows "
                    "(as with batch statistics), so that no kernel between two inputs exists"
                )
    return 1 if outputs.ndim == 1 else outputs.shape[1]


def _layerwise(function: FunctionalModel, outputs: int) -> ByLayers:
    """Return the way by layers, compared with that by Jacobians unless the model is a chain."""
    way = ByLayers(function, outputs)
    if not function.is_chain:
        rows, by_jacobian = function.x[:_COMPARED_ROWS], ByJacobian(function, outputs)
        jacobian = torch.cat([by_jacobian.features(row[None]) for row in rows])  # one by one: the definition
        kernels = function.vector.new_empty(2, outputs, len(rows), outputs, len(rows))
        factors = way.features(rows)
        way.contract(factors, factors, kernels[0])
        by_jacobian.contract(jacobian, jacobian, kernels[1])
        if not agree(*kernels):
            raise NotLayerwiseError(
                "the outputs of a row depend on other rows, or on parameters otherwise than by linear layers"
            )
    return way


def _kernel(way: Way, x1: Tensor, x2: Tensor | None, outputs: int, chunk_rows: int | None) -> Tensor:
    """Fill the kernel block by block, the upper triangle alone where it is symmetric."""
    dtype, row_numbers = way.dtype, way.row_numbers
    other = x1 if x2 is None else x2
    n1, n2 = len(x1), len(other)
    if chunk_rows is None:
        by_features = _CHUNK_BYTES // (row_numbers * dtype.itemsize)
        by_block = math.isqrt(_BLOCK_BYTES // dtype.itemsize) // outputs
        chunk_rows = max(1, min(by_features, by_block))
    largest1, largest2 = min(chunk_rows, n1), min(chunk_rows, n2)
    numbers = n1 * n2 * outputs**2 + (largest1 + largest2) * row_numbers
    numbers += 3 * largest1 * largest2 * outputs**2
    shape = f"{n1} x {n2}" + (f" x {outputs} x {outputs}" if outputs > 1 else "")
    require_memory(numbers * dtype.itemsize, x1.device, f"the {shape} kernel with its working space")

    chunks1, chunks2 = x1.split(chunk_rows), other.split(chunk_rows)
    kernel = x1.new_empty(outputs, n1, outputs, n2, dtype=dtype)
    # Features of x2 are kept where they fit in one chunk and computed anew for each chunk of x1 otherwise.
    kept = way.features(chunks2[0]) if len(chunks2) == 1 else None
    for i, rows in enumerate(chunks1):
        first = kept if x2 is None and kept is not None else way.features(rows)
        top = slice(i * chunk_rows, i * chunk_rows + len(rows))
        for j, columns in enumerate(chunks2):
            side = slice(j * chunk_rows, j * chunk_rows + len(columns))
            if x2 is None and i == j:
                _fill_symmetric(way, first, kernel[:, top, :, side])
            elif x2 is not None or i < j:
                second = kept if kept is not None else way.features(columns)
                way.contract(first, second, kernel[:, top, :, side])
                if x2 is None:
                    kernel[:, side, :, top] = kernel[:, top, :, side].permute(2, 3, 0, 1)
    return kernel[0, :, 0] if outputs == 1 else kernel.permute(1, 3, 0, 2)


def _fill_symmetric(way: Way, features: Any, block: Tensor) -> None:
    """Fill a diagonal block, symmetric to the last bit; halving it saves up to half of the products."""
    outputs, rows = block.shape[:2]
    if rows == 1 or rows * outputs <= _HALVED_ABOVE:
        way.contract(features, features, block)
        block.copy_((block + block.permute(2, 3, 0, 1)) / 2)
        return
    half = rows // 2
    first, second = way.part(features, slice(half)), way.part(features, slice(half, None))
    _fill_symmetric(way, first, block[:, :half, :, :half])
    _fill_symmetric(way, second, block[:, half:, :, half:])
    way.contract(first, second, block[:, :half, :, half:])
    block[:, half:, :, :half] = block[:, :half, :, half:].permute(2, 3, 0, 1)
