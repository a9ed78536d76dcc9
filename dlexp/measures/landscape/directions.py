"""Random directions in weight space, normalised to the weights' own scale."""

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_one_of
from dlexp.measures.functional import parameter_vector, trainable_parameters, unflatten

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
    require_one_of(NORMALIZATIONS, normalize=normalize)
    require_one_of(BIAS_RULES, bias=bias)
    own, parameters = parameter_vector(model), trainable_parameters(model)
    noise = torch.randn(len(own), dtype=torch.float64, device=generator.device, generator=generator)
    noise = noise.to(own.device)
    if normalize == "unit":
        noise = noise / noise.norm()
    if normalize in ("layer", "filter"):
        parts = unflatten(noise, parameters)
        for name, parameter in parameters.items():
            if parameter.ndim < 2 and bias == "zero":
                parts[name] = torch.zeros_like(parts[name])
            else:
                rows = len(parameter) if normalize == "filter" and parameter.ndim >= 2 else 1
                parts[name] = _match_norm(parts[name].reshape(rows, -1), parameter.reshape(rows, -1))
        noise = torch.cat([part.reshape(-1) for part in parts.values()])
    return noise.to(own)


def _match_norm(part: Tensor, parameter: Tensor) -> Tensor:
    """Scale each row of ``part`` to the norm of the row of ``parameter``."""
    scaled: Tensor = part * (parameter.double().norm(dim=1) / part.norm(dim=1))[:, None]
    return scaled
