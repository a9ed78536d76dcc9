"""The height of the loss barrier on a path, in the three definitions in use."""

import torch
from torch import Tensor

BARRIER_DEFINITIONS = ("linear", "max_end", "mean_end")


def barrier(losses: Tensor, definition: str = "linear") -> Tensor:
    """Return the barrier (...) of losses (..., T) at equally spaced positions t of a path, ends included.

    - ``linear``: max_t L(t) - [(1 - t) L(0) + t L(1)] (Entezari et al. 2022; Ainsworth et al. 2023);
    - ``max_end``: max_t L(t) - max(L(0), L(1)) (Garipov et al. 2018);
    - ``mean_end``: max_t L(t) - (L(0) + L(1)) / 2 (Frankle et al. 2020).

    None is negative, as the maximum includes the ends. NaN losses give NaN.

    Raises ``ValueError`` for an unknown definition and fewer than two losses.

    >>> barrier(torch.tensor([1.0, 5.0, 2.0]))
    tensor(3.5000)
    """
    if definition not in BARRIER_DEFINITIONS:
        raise ValueError(f"definition={definition!r} is unknown; allowed: {', '.join(BARRIER_DEFINITIONS)}")
    if losses.ndim < 1 or losses.shape[-1] < 2:
        raise ValueError(f"losses must have shape (..., T) with T >= 2, got {tuple(losses.shape)}")
    start, end = losses[..., :1], losses[..., -1:]
    if definition == "linear":
        t = torch.linspace(0, 1, losses.shape[-1], dtype=losses.dtype, device=losses.device)
        reference = (1 - t) * start + t * end
    elif definition == "max_end":
        reference = torch.maximum(start, end)
    else:
        reference = (start + end) / 2
    return (losses - reference).amax(dim=-1)
