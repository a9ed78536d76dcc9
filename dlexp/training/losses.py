"""The losses, by their config name; each a mean over the rows of (outputs, targets)."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from dlexp.measures.functional import Loss, mean_squared_error


def half_mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the mean of (f - y)^2: the convention of the edge-of-stability and NTK literature.

    Its Hessian is half that of the mean squared error; sharpness is to be read with the loss it belongs to.
    """
    return 0.5 * mean_squared_error(outputs, targets)


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of -log softmax(outputs)[target] in nats; outputs (N, K), targets (N,) int64."""
    return F.cross_entropy(outputs, targets)


LOSSES: dict[str, Loss] = {
    "mse": mean_squared_error,
    "half_mse": half_mean_squared_error,
    "cross_entropy": cross_entropy,
}


def classification_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of rows whose largest output is not the target class."""
    return (outputs.argmax(dim=-1) != targets).to(outputs.dtype).mean()


ERRORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"cross_entropy": classification_error}
"""By loss, the error that is logged beside it."""
