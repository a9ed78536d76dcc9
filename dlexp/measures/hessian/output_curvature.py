"""The loss as a function of the outputs: its gradient and its Hessian, applied to many directions."""

import torch
from torch import Tensor

from dlexp.measures.functional import Loss


class OutputCurvature:
    """``u -> (d^2 L / df^2) u`` at given outputs, for any twice differentiable loss.

    ``outputs`` (N, ...) and the directions (B, N, ...); ``gradient`` is dL/df, shaped as the outputs.
    """

    def __init__(self, loss_fn: Loss, outputs: Tensor, targets: Tensor) -> None:
        with torch.enable_grad():
            self._outputs = outputs.detach().requires_grad_()
            loss = loss_fn(self._outputs, targets)
            (self._gradient,) = torch.autograd.grad(loss, self._outputs, create_graph=True)
        self.gradient = self._gradient.detach()

    def __call__(self, directions: Tensor) -> Tensor:
        """Return the product for each row of ``directions`` (B, N, ...)."""
        return batched_backward(self._gradient, self._outputs, directions)


def batched_backward(outputs: Tensor, inputs: Tensor, cotangents: Tensor) -> Tensor:
    """Return J^T u for each row u of ``cotangents`` (B, *outputs.shape), keeping the graph.

    J is the Jacobian of ``outputs`` with respect to ``inputs``; zeros where one does not depend on the other.
    """
    zeros = inputs.new_zeros(len(cotangents), *inputs.shape)
    if not outputs.requires_grad or len(cotangents) == 0:
        return zeros
    (result,) = torch.autograd.grad(
        outputs, inputs, cotangents, retain_graph=True, allow_unused=True, is_grads_batched=True
    )
    return zeros if result is None else result.detach()
