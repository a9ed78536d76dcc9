"""Constructed networks as models of a job: built for a known target, to be measured rather than trained.

They are float64 (``trainer.precision=64-true``): in float32 the bumps of a fine construction, differences of
steep slopes, would round to errors as large as the construction's own.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dlexp.models import constructed
from dlexp.models.constructed import MultilinearHats, nodes
from dlexp.targets import TARGETS


def _on_notebook_grid(centres: Tensor) -> Tensor:
    """Return for each centre the nearest of the 1000 points at which the notebook evaluates its target."""
    grid = torch.linspace(-1, 1, 1000, dtype=centres.dtype)
    return grid[(grid - centres[:, None]).abs().argmin(dim=1)]


# By name: the network of given heights, and where the heights are taken from.
CONSTRUCTIONS: dict[str, tuple[Callable[[Tensor], nn.Module], Callable[[Tensor], Tensor]]] = {
    "notebook_sigmoid": (constructed.notebook_sigmoid_bumps, _on_notebook_grid),
    "notebook_relu": (constructed.notebook_relu_bumps, _on_notebook_grid),
    "hats": (constructed.hats, lambda centres: centres),
    "boxes": (lambda h: constructed.sigmoid_boxes(h, closed_ends=False), lambda centres: centres),
}


def bumps(
    *,
    input_dim: int,
    width: int,
    construction: str = "hats",
    target: str = "damped_wave",
    output_dim: int = 1,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Return a sum of ``width`` bumps on [-1, 1] with the heights of ``target``, a key of ``TARGETS``.

    ``construction``, of one variable: ``hats`` or ``boxes``, or the notebook's ``notebook_sigmoid`` or
    ``notebook_relu``, whose heights are taken at the nearest point of its grid. Of any number of variables:
    ``products_of_hats``, ``width`` nodes along each axis and width^input_dim bumps in all.

    Raises ``ValueError`` for another name, and for inputs or outputs that a construction does not have.
    """
    allowed = (*CONSTRUCTIONS, "products_of_hats")
    if construction not in allowed:
        raise ValueError(f"construction={construction!r} is unknown; allowed: {', '.join(allowed)}")
    if target not in TARGETS:
        raise ValueError(f"target={target!r} is unknown; allowed: {', '.join(TARGETS)}")
    if construction == "products_of_hats":
        _require_sizes(input_dim, output_dim, inputs=input_dim)
        axes = [nodes(width, dtype=torch.float64)] * input_dim
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        return MultilinearHats(TARGETS[target](grid).squeeze(-1))
    _require_sizes(input_dim, output_dim)
    build, snapped = CONSTRUCTIONS[construction]
    centres = snapped(nodes(width, dtype=torch.float64))
    return build(TARGETS[target](centres[:, None])[:, 0])


def tent_map(
    *, input_dim: int, depth: int, output_dim: int = 1, generator: torch.Generator | None = None
) -> nn.Sequential:
    """Return the tent composed ``depth`` times: ``depth`` layers of 2 units, 2^depth linear pieces."""
    _require_sizes(input_dim, output_dim)
    return constructed.tent_map(depth, dtype=torch.float64)


def shallow_tent_map(
    *, input_dim: int, depth: int, output_dim: int = 1, generator: torch.Generator | None = None
) -> nn.Sequential:
    """Return the same function on [0, 1], the tent composed ``depth`` times: one layer of 2^depth units."""
    _require_sizes(input_dim, output_dim)
    knots = torch.linspace(0, 1, 2**depth + 1, dtype=torch.float64)
    return constructed.piecewise_linear_interpolant(knots, torch.arange(len(knots)).double() % 2)


def _require_sizes(input_dim: int, output_dim: int, *, inputs: int = 1) -> None:
    if (input_dim, output_dim) != (inputs, 1):
        raise ValueError(
            f"input_dim={input_dim}, output_dim={output_dim} is not allowed: it must be {inputs} and 1"
        )
