"""Products with Jacobians in reverse, for many vectors at once: what second derivatives are made of."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dlexp.measures.batching import Batching


class BackwardProducts:
    """``u -> J^T u`` for each row u of (B, *outputs.shape), J = d outputs / d inputs, as vectors (B, P).

    The graph is kept, for products over and over. By definition each is a reverse pass of its own. Batched
    passes are used where torch has them and, unless ``is_trusted``, after the first batch has been compared
    with the definition.

    Raises ``ValueError`` where a product asks for a derivative that torch does not have.

    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> BackwardProducts(w**2, [w], is_trusted=False)(torch.eye(2))
    tensor([[2., 0.],
            [0., 4.]])
    """

    def __init__(self, outputs: Tensor, inputs: Sequence[Tensor], *, is_trusted: bool) -> None:
        self._outputs, self._inputs = outputs, list(inputs)
        self._batching = Batching("batched reverse passes", is_trusted=is_trusted)

    def __call__(self, cotangents: Tensor) -> Tensor:
        """Return the products (B, P)."""
        if not self._outputs.requires_grad or len(cotangents) == 0:
            return cotangents.new_zeros(len(cotangents), sum(part.numel() for part in self._inputs))
        return self._batching(self._together, self._single, cotangents)[0]

    def _together(self, cotangents: Tensor) -> tuple[Tensor, ...]:
        return (self._gradients(cotangents, is_batched=True),)

    def _single(self, cotangent: Tensor) -> tuple[Tensor, ...]:
        try:
            return (self._gradients(cotangent, is_batched=False)[0],)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise ValueError(f"the module cannot be differentiated: {str(error).splitlines()[0]}") from error

    def _gradients(self, cotangents: Tensor, *, is_batched: bool) -> Tensor:
        parts = torch.autograd.grad(
            self._outputs,
            self._inputs,
            cotangents,
            retain_graph=True,
            allow_unused=True,
            is_grads_batched=is_batched,
        )
        count = len(cotangents) if is_batched else 1
        return torch.cat(
            [
                like.new_zeros(count, like.numel()) if part is None else part.reshape(count, -1)
                for part, like in zip(parts, self._inputs, strict=True)
            ],
            dim=1,
        ).detach()
