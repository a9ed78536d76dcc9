"""The exact Jacobian of any module's outputs, row by row: the general way to the empirical NTK."""

import torch
from torch import Tensor
from torch.func import grad, vmap

from dlexp.measures.backward import BackwardProducts
from dlexp.measures.functional import FunctionalModel


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
    vector = function.vector

    def output(vector: Tensor, row: Tensor, index: int) -> Tensor:
        return function.trial.outputs_at(vector, row[None])[0].reshape(-1)[index]

    def batched(rows: Tensor) -> tuple[Tensor, ...]:
        indices = range(function.probe[0].numel())
        columns = [vmap(grad(output), in_dims=(None, 0, None))(vector, rows, index) for index in indices]
        return (torch.stack(columns, dim=1).detach(),)

    def single(row: Tensor) -> tuple[Tensor, ...]:
        outputs = function.outputs(row[None]).reshape(-1)
        products = BackwardProducts(outputs, function.parameters, is_trusted=False)
        return (products(torch.eye(len(outputs), dtype=outputs.dtype, device=outputs.device)),)

    return function.batching(batched, single, x)[0]


class ByJacobian:
    """The kernel by contracting Jacobians; see :class:`~dlexp.measures.ntk.empirical.Way`.

    >>> from torch import nn
    >>> function, block = FunctionalModel(nn.Linear(1, 1), torch.ones(1, 1)), torch.empty(1, 1, 1, 1)
    >>> way = ByJacobian(function, 1)
    >>> jacobian = way.features(torch.tensor([[2.0]]))
    >>> way.contract(jacobian, jacobian, block)
    >>> block.item()  # x x' + 1
    5.0
    """

    def __init__(self, function: FunctionalModel, outputs: int) -> None:
        self._function, self.dtype = function, function.vector.dtype
        # Twice, for what the vectorised reverse pass keeps beside the Jacobian.
        self.row_numbers = 2 * outputs * len(function.vector)

    def features(self, x: Tensor) -> Tensor:
        """Return the Jacobian (N, K, P) of the rows of x."""
        return output_jacobian(self._function, x)

    def contract(self, first: Tensor, second: Tensor, block: Tensor) -> None:
        """Fill the kernel block (K, N1, K, N2) from Jacobians (N1, K, P) and (N2, K, P)."""
        (n1, outputs, _), n2 = first.shape, len(second)
        by_row = first.flatten(0, 1) @ second.flatten(0, 1).T
        block.copy_(by_row.view(n1, outputs, n2, outputs).permute(1, 0, 3, 2))

    def part(self, features: Tensor, rows: slice) -> Tensor:
        """Return the Jacobian of some of the rows."""
        return features[rows]
