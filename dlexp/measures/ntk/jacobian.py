"""The exact Jacobian of any module's outputs, row by row: the general way to the empirical NTK."""

import warnings

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from dlexp.measures.functional import trainable_parameters


def output_jacobian(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Return the Jacobian of the outputs of each row passed alone, (N, K, size) for each parameter.

    One vectorised reverse pass; models that ``vmap`` cannot trace (control flow on data, some recurrent
    layers) go row by row through autograd.
    """

    def single(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        outputs: Tensor = functional_call(model, parameters, (row[None],))
        return outputs[0].reshape(-1)

    try:
        with warnings.catch_warnings():
            # Operations that vmap knows only as a loop are slow, but right.
            warnings.filterwarnings("ignore", message="There is a performance drop")
            jacobian = vmap(jacrev(single), in_dims=(None, 0))(trainable_parameters(model), x)
    except RuntimeError:
        # A true error of the model comes back from here, in plain autograd's words.
        return _row_by_row(model, x)
    return [part.flatten(2) for part in jacobian.values()]


def _row_by_row(model: nn.Module, x: Tensor) -> list[Tensor]:
    parameters = [p for p in model.parameters() if p.requires_grad]
    gradients = [
        torch.autograd.grad(output, parameters, retain_graph=True, materialize_grads=True)
        for row in x
        for output in model(row[None])[0].reshape(-1)
    ]
    return [torch.stack(part).view(len(x), -1, part[0].numel()) for part in zip(*gradients, strict=True)]


def contract_jacobians(first: list[Tensor], second: list[Tensor], block: Tensor) -> None:
    """Fill the kernel block (K, N1, K, N2) with the sum over parameters of the contracted Jacobians."""
    (n1, outputs, _), n2 = first[0].shape, len(second[0])
    by_row = block.new_zeros(n1 * outputs, n2 * outputs)
    for one, two in zip(first, second, strict=True):
        by_row.addmm_(one.flatten(0, 1), two.flatten(0, 1).T)
    block.copy_(by_row.view(n1, outputs, n2, outputs).permute(1, 0, 3, 2))


def split_jacobian(jacobian: list[Tensor], rows: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return the Jacobian of the first ``rows`` rows and of the others."""
    return [part[:rows] for part in jacobian], [part[rows:] for part in jacobian]
