"""The losses, by their config name: each is one object that every way of training and every measure uses.

torch is not imported: a loss is arithmetic on the tensors that it is given, and what only wants to know its
name or its label (the configuration, a figure) need not wait for torch.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

REGRESSION, CLASSIFICATION = TASKS = ("regression", "classification")


@dataclass(frozen=True)
class Loss:
    """A loss that is a mean over rows; called with outputs and targets it returns that mean.

    Shapes: outputs (..., N, K); targets of a regression (..., N, K), of a classification labels (..., N).
    What comes before N stays: outputs (M, N, K) of M networks give M losses.

    Attributes:
        name: in configurations.
        label: in figures and tables.
        tasks: that have targets for it.
        per_row: outputs and targets to the loss of each row, (..., N).
        derivative: ``(outputs, targets, weight)`` to ``weight`` times the derivative of the sum of
            ``per_row`` by the outputs, which it may write over ``outputs``; None leaves it to autograd.
        error: what is reported beside the loss, of each row, (..., N); None for nothing.

    >>> import torch
    >>> LOSSES["half_mse"](torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [0.0]]))
    tensor(2.5000)
    """

    name: str
    label: str
    tasks: tuple[str, ...]
    per_row: "Callable[[Tensor, Tensor], Tensor]"
    derivative: "Callable[[Tensor, Tensor, float], Tensor] | None" = None
    error: "Callable[[Tensor, Tensor], Tensor] | None" = None

    def __call__(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """Return the mean over the rows; raises ``ValueError`` where the shapes do not belong together."""
        self.require_shapes(outputs, targets)
        return self.per_row(outputs, targets).mean(dim=-1)

    def mean_error(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """Return the mean of ``error`` over the rows, in the type of the outputs."""
        assert self.error is not None
        return self.error(outputs, targets).to(outputs.dtype).mean(dim=-1)

    def require_shapes(self, outputs: "Tensor", targets: "Tensor") -> None:
        """Refuse shapes that would broadcast to a number that means something else (``ValueError``)."""
        is_labels = CLASSIFICATION in self.tasks
        expected = outputs.shape[:-1] if is_labels else outputs.shape
        if outputs.ndim < 2 or targets.shape != expected:
            asked = "(N, K) and labels (N,)" if is_labels else "(N, K) for both"
            raise ValueError(
                f"outputs {tuple(outputs.shape)} and targets {tuple(targets.shape)} do not belong together: "
                f"the loss {self.name} takes {asked}"
            )


def _squared_error(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    # Not F.mse_loss, of which forward-over-reverse differentiation fails in torch 2.13.
    return ((outputs - targets) ** 2).mean(dim=-1)


def _huber(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    distance = outputs - targets
    near = distance.clamp(-1.0, 1.0)
    return (near * (distance - 0.5 * near)).mean(dim=-1)


def _cross_entropy(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return outputs.logsumexp(dim=-1) - outputs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)


def _cross_entropy_derivative(outputs: "Tensor", targets: "Tensor", weight: float) -> "Tensor":
    probabilities = outputs.softmax(dim=-1)
    at_target = targets.unsqueeze(-1)
    probabilities.scatter_add_(-1, at_target, probabilities.new_full((), -1.0).expand(at_target.shape))
    return probabilities.mul_(weight)


MEAN_SQUARED_ERROR = Loss(
    name="mse",
    label="mean squared error",
    tasks=(REGRESSION,),
    per_row=_squared_error,
    derivative=lambda outputs, targets, weight: outputs.sub_(targets).mul_(2 * weight / outputs.shape[-1]),
)
"""Mean over rows and outputs of (f - y)^2."""

HALF_MEAN_SQUARED_ERROR = Loss(
    name="half_mse",
    label="half the mean squared error",
    tasks=(REGRESSION,),
    per_row=lambda outputs, targets: 0.5 * _squared_error(outputs, targets),
    derivative=lambda outputs, targets, weight: outputs.sub_(targets).mul_(weight / outputs.shape[-1]),
)
"""Half of it: the convention of the edge-of-stability and NTK literature. Its Hessian is half as large."""

HUBER = Loss(
    name="huber",
    label="Huber loss",
    tasks=(REGRESSION,),
    per_row=_huber,
    derivative=lambda outputs, targets, weight: (
        outputs.sub_(targets).clamp_(-1.0, 1.0).mul_(weight / outputs.shape[-1])
    ),
)
"""(f - y)^2 / 2 where |f - y| <= 1, |f - y| - 1/2 beyond (Huber 1964)."""

CROSS_ENTROPY = Loss(
    name="cross_entropy",
    label="cross-entropy (nats)",
    tasks=(CLASSIFICATION,),
    per_row=_cross_entropy,
    derivative=_cross_entropy_derivative,
    error=lambda outputs, targets: outputs.argmax(dim=-1) != targets,
)
"""Mean over rows of -log softmax(f)[y]; its error is the share of rows whose largest output is not y."""

LOSSES: dict[str, Loss] = {
    loss.name: loss for loss in (MEAN_SQUARED_ERROR, HALF_MEAN_SQUARED_ERROR, HUBER, CROSS_ENTROPY)
}


def find(name: str) -> Loss:
    """Return one of ``LOSSES``, or the :class:`Loss` that a dotted path names (``my_losses.LOGISTIC``).

    Raises ``ValueError`` if there is none.

    >>> find("huber").label
    'Huber loss'
    """
    if name in LOSSES:
        return LOSSES[name]
    module, _, attribute = name.rpartition(".")
    try:
        loss = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"training.loss={name} is not allowed: {error}.") from None
    if not isinstance(loss, Loss):
        raise ValueError(f"training.loss={name} is not allowed: it must be a dlexp.losses.Loss.")
    return loss


DEFAULT_LOSSES = {REGRESSION: MEAN_SQUARED_ERROR.name, CLASSIFICATION: CROSS_ENTROPY.name}
"""By task, what ``training.loss: null`` stands for."""
