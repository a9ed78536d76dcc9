"""Convolutions of all members at once, as one batched product over what each kernel sees.

torch's vmap makes them one convolution of M groups, which the CPU's libraries do slowly. Here the channels
lie last, the pieces of the inputs at each place of the kernel side by side, and one product with the kernels
is the convolution; its gradients are the two products of any linear map, that by the inputs added up piece by
piece.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dlexp.train.replay.rules import Stacked, are_stacked


def convolution(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, *rest: Any) -> Any:
    """Return the outputs of ``aten.convolution`` for every member, or ``NotImplemented``."""
    if not _is_plain(x, weight, rest) or not (bias is None or are_stacked(bias)):
        return NotImplemented
    columns, places = _columns(x.tensor, weight.tensor.shape[3:], stride, padding, dilation)
    kernels = _matrix(weight.tensor).transpose(1, 2)
    if bias is None:
        outputs = torch.bmm(columns, kernels)
    else:
        outputs = torch.baddbmm(bias.tensor.unsqueeze(1), columns, kernels)
    return Stacked(outputs.view(*x.tensor.shape[:2], *places, -1).movedim(-1, 2))


def convolution_backward(
    gradient: Any,
    x: Any,
    weight: Any,
    bias_sizes: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    wanted: Sequence[bool],
) -> Any:
    """Return the gradients of ``aten.convolution_backward`` for every member, or ``NotImplemented``."""
    if not _is_plain(x, weight, (transposed, output_padding, groups)) or not are_stacked(gradient):
        return NotImplemented
    if len(stride) > 1:  # so many pieces take longer to add up than one convolution of M groups
        return NotImplemented
    members, batch, channels, *sizes = x.tensor.shape
    kernel = weight.tensor.shape[3:]
    by_outputs = gradient.tensor.movedim(2, -1).reshape(members, -1, weight.tensor.shape[1])
    found: list[Any] = [None, None, None]
    if wanted[0]:
        by_columns = torch.bmm(by_outputs, _matrix(weight.tensor))
        pieces = by_columns.view(members, batch, *gradient.tensor.shape[3:], -1).split(channels, dim=-1)
        padded = [size + 2 * margin for size, margin in zip(sizes, padding, strict=True)]
        total = pieces[0].new_zeros(members, batch, *padded, channels)
        for piece, where in zip(
            pieces, _where(kernel, gradient.tensor.shape[3:], stride, dilation), strict=True
        ):
            total[where].add_(piece)
        inner = tuple(slice(m, m + size) for m, size in zip(padding, sizes, strict=True))
        found[0] = Stacked(total[:, :, *inner].movedim(-1, 2))
    if wanted[1]:
        columns, _ = _columns(x.tensor, kernel, stride, padding, dilation)
        by_kernels = torch.bmm(by_outputs.transpose(1, 2), columns)
        found[1] = Stacked(by_kernels.view(members, -1, *kernel, channels).movedim(-1, 2))
    if wanted[2]:
        found[2] = Stacked(by_outputs.sum(1))
    return found


def _is_plain(x: Any, weight: Any, rest: Sequence[Any]) -> bool:
    transposed, _, groups = rest
    return are_stacked(x, weight) and not transposed and groups == 1


def _matrix(weight: Tensor) -> Tensor:
    """Return kernels (M, out, in, ...) as matrices (M, out, places x in)."""
    return weight.movedim(2, -1).flatten(2)


def _columns(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> tuple[Tensor, list[int]]:
    """Return what the kernel sees (M, B x places, kernel x in), and the places in each direction."""
    x = x.movedim(2, -1)
    if any(padding):
        x = F.pad(x, [0, 0, *(margin for own in reversed(padding) for margin in (own, own))])
    sizes = x.shape[2:-1]
    places = [
        (size - d * (k - 1) - 1) // s + 1
        for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)
    ]
    pieces = [x[where] for where in _where(kernel, places, stride, dilation)]
    return torch.cat(pieces, dim=-1).flatten(1, -2), places


def _where(
    kernel: Sequence[int], places: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Iterator[tuple[slice, ...]]:
    """Yield where in the inputs (M, B, ..., in) each place of the kernel lies as it goes over them."""
    for offsets in itertools.product(*map(range, kernel)):
        yield (
            slice(None),
            slice(None),
            *(
                slice(k * d, k * d + (n - 1) * s + 1, s)
                for k, n, s, d in zip(offsets, places, stride, dilation, strict=True)
            ),
        )
