"""The exact Jacobian of any module's outputs, row by row: the general way to the empirical NTK."""

import logging
import warnings

import torch
from torch import Tensor
from torch.func import grad, vmap

from dlexp.measures.functional import FunctionalModel
from dlexp.measures.hessian.backward import BackwardProducts
from dlexp.measures.points import agree

log = logging.getLogger(__name__)


def output_jacobian(function: FunctionalModel, x: Tensor) -> Tensor:
    """Return the Jacobian of the outputs of each row passed alone, (N, K, P), at the module's parameters.

    By definition every row is differentiated by itself. ``torch.vmap`` takes all rows together, one output at
    a time (its nested form is wrong for some modules), where it agrees with the definition at a row.

    >>> from torch import nn
    >>> output_jacobian(FunctionalModel(nn.Linear(1, 1), torch.ones(1, 1)), torch.tensor([[2.0], [3.0]]))
    tensor([[[2., 1.]],
    <BLANKLINE>
            [[3., 1.]]])
    """
    found = _together(function, x) if function.is_batched is not False and len(x) > 1 else None
    return torch.stack([_of_row(function, row) for row in x]) if found is None else found


def _together(function: FunctionalModel, x: Tensor) -> Tensor | None:
    """Return the Jacobian by ``torch.vmap``; None, for good, where it cannot be trusted."""
    vector = function.vector

    def output(vector: Tensor, row: Tensor, index: int) -> Tensor:
        return function.trial.outputs_at(vector, row[None])[0].reshape(-1)[index]

    try:
        with warnings.catch_warnings():
            # Operations that vmap knows only as a loop are slow, but right.
            warnings.filterwarnings("ignore", message="There is a performance drop")
            columns = [
                vmap(grad(output), in_dims=(None, 0, None))(vector, x, index)
                for index in range(function.probe[0].numel())
            ]
    except Exception as error:  # whatever it is, the definition decides whether it is the module's
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    else:
        found = torch.stack(columns, dim=1).detach()
        if function.is_chain or function.is_batched or agree(found[-1], _of_row(function, x[-1])):
            function.is_batched = True
            return found
        reason = "its results differ from those of single rows"
    function.is_batched = False
    log.info("%s is differentiated row by row: %s", type(function.network).__name__, reason)
    return None


def _of_row(function: FunctionalModel, row: Tensor) -> Tensor:
    outputs = function.outputs(row[None]).reshape(-1)
    products = BackwardProducts(outputs, function.parameters, is_trusted=False)
    return products(torch.eye(len(outputs), dtype=outputs.dtype, device=outputs.device))


def contract_jacobians(first: Tensor, second: Tensor, block: Tensor) -> None:
    """Fill the kernel block (K, N1, K, N2) with the contraction of Jacobians (N1, K, P) and (N2, K, P).

    >>> block = torch.empty(1, 1, 1, 1)
    >>> contract_jacobians(torch.ones(1, 1, 3), torch.ones(1, 1, 3), block)
    >>> block.item()
    3.0
    """
    (n1, outputs, _), n2 = first.shape, len(second)
    by_row = first.flatten(0, 1) @ second.flatten(0, 1).T
    block.copy_(by_row.view(n1, outputs, n2, outputs).permute(1, 0, 3, 2))


def split_jacobian(jacobian: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Return the Jacobian of the first ``rows`` rows and of the others.

    >>> [part.shape[0] for part in split_jacobian(torch.ones(5, 1, 3), 2)]
    [2, 3]
    """
    return jacobian[:rows], jacobian[rows:]
