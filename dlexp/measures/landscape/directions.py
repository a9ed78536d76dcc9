"""Directions in weight space: random, normalised to the weights' own scale, or through given solutions."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlexp.measures.functional import parameter_vector, trainable_parameters

NORMALIZATIONS = ("none", "unit", "layer", "filter")
BIAS_RULES = ("zero", "scale")


def random_direction(
    model: nn.Module,
    normalize: str = "filter",
    *,
    bias: str = "zero",
    generator: torch.Generator,
) -> Tensor:
    """Return a random direction (P,): Gaussian entries g, scaled as ``normalize`` says.

    - ``none``: g itself, N(0, 1) entries;
    - ``unit``: g / |g|;
    - ``layer``: each weight tensor's part times |theta_tensor| / |g_tensor|;
    - ``filter``: each output unit's incoming weights (a row of a linear layer, a filter of a convolution)
      times |theta_row| / |g_row| (Li et al. 2018, section 4).

    ``layer`` and ``filter`` need a rule for parameters with fewer than two dimensions (biases, gains of
    normalisation layers): ``bias="zero"`` does not move them, as Li et al.'s code does for its figures;
    ``bias="scale"`` gives each such tensor the norm of its parameters. ``none`` and ``unit`` move them all.
    The scaled direction grows with the weights, so a surface drawn along it does not change when whole
    layers of a ReLU network are rescaled; for single units, balance the network first
    (:func:`~dlexp.measures.landscape.balance_relu_units`).

    The draw is made in float64 on the generator's device, so that float32 and float64 models, on a CPU or a
    GPU, get the same direction.

    Raises ``ValueError`` for an unknown ``normalize`` or ``bias``.

    >>> model = nn.Linear(3, 2)
    >>> direction = random_direction(model, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(direction[:6].view(2, 3).norm(dim=1), model.weight.norm(dim=1))
    True
    """
    if normalize not in NORMALIZATIONS:
        raise ValueError(f"normalize={normalize!r} is unknown; allowed: {', '.join(NORMALIZATIONS)}")
    if bias not in BIAS_RULES:
        raise ValueError(f"bias={bias!r} is unknown; allowed: {', '.join(BIAS_RULES)}")
    parameters = trainable_parameters(model)
    parts = []
    noise = _gaussian(sum(p.numel() for p in parameters.values()), 1, generator)[0]
    for part, parameter in zip(
        noise.split([p.numel() for p in parameters.values()]), parameters.values(), strict=True
    ):
        part = part.to(parameter.device).reshape(parameter.shape)
        if normalize in ("layer", "filter"):
            if parameter.ndim < 2:
                part = torch.zeros_like(part) if bias == "zero" else _match_norm(part, parameter, rows=False)
            else:
                part = _match_norm(part, parameter, rows=normalize == "filter")
        parts.append(part.reshape(-1))
    direction: Tensor = torch.cat(parts)
    if normalize == "unit":
        direction /= direction.norm()
    own = parameter_vector(model)
    return direction.to(device=own.device, dtype=own.dtype)


def orthonormal_directions(model: nn.Module, count: int = 2, *, generator: torch.Generator) -> Tensor:
    """Return ``count`` orthonormal directions (count, P), spanning a uniformly random subspace.

    Raises ``ValueError`` if ``count`` is not between 1 and P.

    >>> directions = orthonormal_directions(nn.Linear(3, 2), generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(directions @ directions.T, torch.eye(2), atol=1e-6)
    True
    """
    vector = parameter_vector(model)
    if not 1 <= count <= vector.numel():
        raise ValueError(f"count={count} must be between 1 and the number of parameters, {vector.numel()}")
    noise = _gaussian(vector.numel(), count, generator).to(vector.device)
    orthonormal: Tensor = torch.linalg.qr(noise.T).Q
    return orthonormal.T.contiguous().to(vector)


class SolutionPlane(NamedTuple):
    """The plane through three points.

    ``origin`` (P,), orthonormal ``directions`` (2, P), ``coordinates`` (3, 2). Point i is
    ``origin + coordinates[i] @ directions``; the origin is the first point.
    """

    origin: Tensor
    directions: Tensor
    coordinates: Tensor


def plane_through(first: Tensor, second: Tensor, third: Tensor) -> SolutionPlane:
    """Return the plane through three parameter vectors (P,) with an orthonormal basis.

    As in Garipov et al. (2018): u = second - first and v = third - first minus its projection on u,
    both normalised. (The line through two
    solutions a, b is ``loss_line`` from the origin a along b - a.)

    Raises ``ValueError`` if the points lie on one line.

    >>> corners = torch.eye(3)
    >>> plane = plane_through(*corners)
    >>> torch.allclose(plane.origin + plane.coordinates @ plane.directions, corners, atol=1e-6)
    True
    """
    u, v = second - first, third - first
    length = u.norm()
    axis_1 = u / length
    rest = v - (v @ axis_1) * axis_1
    # A second pass removes what rounding left of the first axis.
    rest = rest - (rest @ axis_1) * axis_1
    height = rest.norm()
    # Differences of points carry errors of eps times the points' size.
    tolerance = 100 * torch.finfo(first.dtype).eps * max(float(p.norm()) for p in (first, second, third))
    if not (length > tolerance and height > tolerance):
        raise ValueError("first, second and third lie on one line; three points that span a plane are needed")
    axis_2 = rest / height
    zero = torch.zeros_like(length)
    coordinates = torch.stack(
        [torch.stack([zero, zero]), torch.stack([length, zero]), torch.stack([v @ axis_1, height])]
    )
    return SolutionPlane(first, torch.stack([axis_1, axis_2]), coordinates)


def _gaussian(dimension: int, count: int, generator: torch.Generator) -> Tensor:
    return torch.randn(count, dimension, dtype=torch.float64, device=generator.device, generator=generator)


def _match_norm(part: Tensor, parameter: Tensor, *, rows: bool) -> Tensor:
    """Scale ``part`` so that its rows, or the whole of it, have the norms of ``parameter``."""
    flat, like = (
        (part.flatten(1), parameter.flatten(1)) if rows else (part.reshape(1, -1), parameter.reshape(1, -1))
    )
    norms: Tensor = like.double().norm(dim=1) / flat.norm(dim=1)
    return (flat * norms[:, None]).reshape(part.shape)
