"""What kind of critical point a network stands at."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_at_least
from dlexp.measures.functional import FunctionalLoss, Loss, parameter_vector
from dlexp.measures.hessian.operators import dense_matrix, hessian_operator
from dlexp.measures.hessian.spectrum import Inertia, inertia

Kind = Literal["minimum", "maximum", "strict saddle", "degenerate", "not critical"]


class CriticalPoint(NamedTuple):
    """The second-order test at one point.

    Attributes:
        kind: see :func:`classify_critical_point`.
        gradient_norm: |grad|, Euclidean.
        inertia: counts of negative, zero and positive eigenvalues; ``inertia.negative`` is the index.
        eigenvalues: (P,) of the Hessian, smallest first.
    """

    kind: Kind
    gradient_norm: float
    inertia: Inertia
    eigenvalues: Tensor


def classify_critical_point(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    *,
    gradient_tolerance: float = 1e-6,
    relative_tolerance: float | None = None,
    weight_decay: float = 0.0,
    batch_size: int | None = None,
) -> CriticalPoint:
    """Classify the model's parameters by the gradient norm and the signs of the Hessian's eigenvalues.

    - ``not critical``: the gradient norm is above ``gradient_tolerance``;
    - ``minimum``: all eigenvalues are positive; ``maximum``: all are negative;
    - ``strict saddle``: some are negative but not all, so there is a descent direction (Lee et al. 2016);
    - ``degenerate``: none is negative and some are zero: the second-order test decides nothing.

    An eigenvalue is zero if it is at most ``relative_tolerance`` times the largest in absolute value (see
    :func:`~dlexp.measures.hessian.spectrum.zero_threshold`). ``weight_decay`` classifies the objective
    loss + weight_decay / 2 |theta|^2, what SGD with that setting descends. ``batch_size`` as in
    :func:`~dlexp.measures.hessian.operators.hessian_operator`.

    Raises ``ValueError`` for a negative tolerance or weight decay, ``MemoryError`` with the estimate if the
    dense Hessian would not fit.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> model, x, y = nn.Linear(1, 1), torch.ones(4, 1), torch.zeros(4, 1)
    >>> classify_critical_point(model, mean_squared_error, x, model(x).detach()).kind  # w + b alone is seen
    'degenerate'
    """
    require_at_least(0, gradient_tolerance=gradient_tolerance, weight_decay=weight_decay)
    vector = parameter_vector(model)
    operator = hessian_operator(model, loss_fn, x, y, batch_size=batch_size)
    hessian = dense_matrix(operator, len(vector), vector, "the dense Hessian")
    hessian.diagonal().add_(weight_decay)
    eigenvalues: Tensor = torch.linalg.eigvalsh(hessian)
    gradient = _gradient(model, loss_fn, x, y, batch_size) + weight_decay * vector
    gradient_norm = float(torch.linalg.vector_norm(gradient))
    counts = inertia(eigenvalues, relative_tolerance=relative_tolerance)
    kind: Kind = "not critical" if not gradient_norm <= gradient_tolerance else kind_of(counts)
    return CriticalPoint(kind, gradient_norm, counts, eigenvalues)


def kind_of(counts: Inertia) -> Kind:
    """Return the kind of a critical point whose Hessian has these signs.

    >>> kind_of(Inertia(negative=1, zero=0, positive=2))
    'strict saddle'
    """
    if counts.negative == 0:
        return "minimum" if counts.zero == 0 else "degenerate"
    return "maximum" if counts.zero == counts.positive == 0 else "strict saddle"


def _gradient(model: nn.Module, loss_fn: Loss, x: Tensor, y: Tensor, batch_size: int | None) -> Tensor:
    vector = parameter_vector(model)
    total = torch.zeros_like(vector)
    rows = batch_size or len(x)
    for x_part, y_part in zip(x.split(rows), y.split(rows), strict=True):
        gradient, _ = FunctionalLoss(model, loss_fn, x_part, y_part).gradient_at(vector)
        total += len(x_part) / len(x) * gradient
    return total
