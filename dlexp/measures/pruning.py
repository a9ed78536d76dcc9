"""Pruning masks, and the controls a lottery-ticket experiment needs.

A mask is a boolean tensor shaped like its weight tensor, True where the weight is kept; masks are a dict
from parameter name to mask. Only weights are pruned (:func:`prunable_weights`): biases and gains never are.
"""

import logging
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from dlexp.measures.arguments import require_one_of
from dlexp.measures.chain import chain_of
from dlexp.measures.functional import trainable_parameters

log = logging.getLogger(__name__)

Masks = dict[str, Tensor]
SCOPES = ("layer", "global")
_NORMALISATIONS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def magnitude_masks(
    model: nn.Module,
    rate: float,
    *,
    scope: str = "layer",
    previous: Mapping[str, Tensor] | None = None,
    readout_rate: float | None = None,
) -> Masks:
    """Return masks that remove the share ``rate`` of the remaining weights, those of smallest magnitude.

    - ``scope="layer"``: the share ``rate`` of each weight tensor, and ``readout_rate`` of the readout's
      (:func:`readout_weight`, named in the log), by default ``rate / 2`` (Frankle & Carbin 2019, section 2).
    - ``scope="global"``: one threshold for all weight tensors together; the largest weight of each layer
      stays, because an emptied layer cuts the network.

    Of m remaining weights m (1 - rate), rounded half up but at least one, are kept. ``previous`` masks say
    which remain, so k rounds leave (1 - rate)^k up to rounding; None means all. Among equal magnitudes the
    weight that comes first in its tensor (and, globally, in the order of ``model.named_parameters()``) is
    kept. Magnitudes are those of the parameters as stored, without the multipliers of a parametrisation.

    Raises ``ValueError`` for a rate outside [0, 1), an unknown scope, a model without weights or with weights
    that are not finite, previous masks that do not fit, and ``readout_rate`` with ``scope="global"``.

    >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> {name: int(mask.sum()) for name, mask in magnitude_masks(model, 0.5).items()}
    {'0.weight': 6, '2.weight': 3}
    """
    require_one_of(SCOPES, scope=scope)
    if scope == "global" and readout_rate is not None:
        raise ValueError(
            f"readout_rate={readout_rate} needs scope='layer'; a global threshold has no rate by layer"
        )
    readout_rate = rate / 2 if readout_rate is None else readout_rate
    for name, value in (("rate", rate), ("readout_rate", readout_rate)):
        if not 0 <= value < 1:
            raise ValueError(f"{name}={value} must be at least 0 and below 1")
    weights = prunable_weights(model)
    for name, weight in weights.items():
        if not bool(weight.isfinite().all()):
            raise ValueError(f"model has weights that are not finite in {name!r}")
    remaining = dense_masks(model) if previous is None else _checked(previous, weights)
    if scope == "global":
        return _global_masks(weights, remaining, rate)
    rates = dict.fromkeys(weights, rate)
    readout = readout_weight(model)
    log.info("%s is pruned as the readout, at the rate %g", readout, readout_rate)
    rates[readout] = readout_rate
    return {name: _largest(weights[name], remaining[name], rates[name]) for name in weights}


def random_masks(masks: Mapping[str, Tensor], *, generator: torch.Generator) -> Masks:
    """Return masks that keep as many weights of each tensor as ``masks`` do, at uniformly random places.

    >>> masks = {"w": torch.tensor([True, False, False])}
    >>> int(random_masks(masks, generator=torch.Generator().manual_seed(0))["w"].sum())
    1
    """
    random = {}
    for name, mask in masks.items():
        order = torch.randperm(mask.numel(), generator=generator, device=generator.device).to(mask.device)
        random[name] = mask.flatten()[order].reshape(mask.shape)
    return random


def dense_masks(model: nn.Module) -> Masks:
    """Return the masks that keep every weight of ``model``.

    >>> dense_masks(nn.Linear(2, 1))
    {'weight': tensor([[True, True]])}
    """
    return {
        name: torch.ones_like(weight, dtype=torch.bool) for name, weight in prunable_weights(model).items()
    }


def prunable_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the trainable weights by name, detached: what maps units to units, where a 0 cuts a connection.

    These are parameters with two dimensions or more, but for the gains of normalisation layers, the lengths
    of weight normalisation (their directions are weights), and parameters from which another parametrisation
    computes the weights.

    Raises ``ValueError`` if there are none.

    >>> list(prunable_weights(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm((2, 4)), nn.Linear(4, 1))))
    ['0.weight', '2.weight']
    """
    trainable = trainable_parameters(model)
    weights = {
        name: p
        for name, p in trainable.items()
        if p.ndim >= 2 and _is_weight(model.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2])
    }
    if not weights:
        raise ValueError(f"{type(model).__name__} has no trainable weights (two dimensions or more) to prune")
    return weights


def readout_weight(model: nn.Module) -> str:
    """Return the name of the weight that gives the outputs, among :func:`prunable_weights`.

    It is the last layer of a chain (see :mod:`dlexp.measures.chain`), else the weight of a submodule called
    ``readout``, else the weight that was registered last.

    Raises ``ValueError`` if there are no weights.

    >>> readout_weight(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)))
    '2.weight'
    """
    names = list(prunable_weights(model))
    layers = chain_of(model, allow_frozen=True)
    readout = layers[-1].name if layers is not None else "readout"
    found = [name for name in names if name.rpartition(".")[0] == readout]
    return found[-1] if found else names[-1]


def _is_weight(owner: nn.Module, name: str) -> bool:
    if isinstance(owner, _NORMALISATIONS):
        return False
    if isinstance(owner, parametrize.ParametrizationList):
        kinds = [type(parametrization) for parametrization in owner]
        return (kinds, name) in (
            ([parametrizations._WeightNorm], "original1"),
            ([parametrizations._SpectralNorm], "original"),
        )
    # The old form of weight normalisation keeps weight_g and weight_v beside each other.
    return not (name.endswith("_g") and f"{name[:-2]}_v" in owner._parameters)


def density(masks: Mapping[str, Tensor]) -> float:
    """Return the share of weights kept, over all masks together.

    Raises ``ValueError`` if there are no masks.

    >>> density({"w": torch.tensor([True, False])})
    0.5
    """
    total = sum(mask.numel() for mask in masks.values())
    if total == 0:
        raise ValueError("masks is empty, so it has no density")
    return sum(int(mask.sum()) for mask in masks.values()) / total


def random_signs(
    initial: Mapping[str, Tensor], masks: Mapping[str, Tensor], *, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return the initial values with random signs and their own magnitudes in the masked tensors.

    A control for what a ticket owes to its signs (Zhou et al. 2019).

    >>> w, mask = torch.tensor([3.0, -4.0]), torch.tensor([True, False])
    >>> random_signs({"w": w}, {"w": mask}, generator=torch.Generator().manual_seed(0))["w"].abs()
    tensor([3., 4.])
    """
    _checked(masks, initial, complete=False)
    values = dict(initial)
    for name in [name for name in initial if name in masks]:
        bits = torch.randint(0, 2, values[name].shape, generator=generator, device=generator.device)
        values[name] = values[name].abs() * (2 * bits - 1).to(values[name])
    return values


def _largest(weight: Tensor, remaining: Tensor, rate: float) -> Tensor:
    places = remaining.flatten().nonzero()[:, 0]
    order = weight.flatten()[places].abs().sort(descending=True, stable=True).indices
    mask = torch.zeros_like(remaining).flatten()
    mask[places[order[: _kept(len(places), rate)]]] = True
    return mask.reshape(weight.shape)


def _global_masks(weights: Mapping[str, Tensor], remaining: Mapping[str, Tensor], rate: float) -> Masks:
    protected = {name: _largest(weight, remaining[name], 1.0) for name, weight in weights.items()}
    all_remaining = torch.cat([remaining[name].flatten() for name in weights])
    all_protected = torch.cat([mask.flatten() for mask in protected.values()])
    magnitudes = torch.cat([weight.flatten() for weight in weights.values()]).abs()
    # Protected weights come first, then the others from the largest down.
    places = all_remaining.nonzero()[:, 0]
    keys = torch.where(all_protected, math.inf, magnitudes)[places]
    count = max(_kept(len(places), rate), int(all_protected.sum()))
    kept = torch.zeros_like(all_remaining)
    kept[places[keys.sort(descending=True, stable=True).indices[:count]]] = True
    pieces = kept.split([weight.numel() for weight in weights.values()])
    return {name: piece.reshape(weights[name].shape) for name, piece in zip(weights, pieces, strict=True)}


def _kept(count: int, rate: float) -> int:
    return min(count, max(1, math.floor(count * (1 - rate) + 0.5)))


def _checked(
    masks: Mapping[str, Tensor], values: Mapping[str, Tensor], *, complete: bool = True
) -> Mapping[str, Tensor]:
    for name, mask in masks.items():
        if name not in values:
            raise ValueError(f"masks names {name!r}, which is not among {', '.join(values)}")
        if mask.shape != values[name].shape or mask.dtype != torch.bool:
            raise ValueError(
                f"the mask of {name!r} must be boolean with shape {tuple(values[name].shape)}, "
                f"got {mask.dtype} {tuple(mask.shape)}"
            )
    missing = [name for name in values if name not in masks]
    if complete and missing:
        raise ValueError(f"masks lacks {', '.join(missing)}")
    return masks
