"""What a pruned network is compared with: other masks, other weights, other signs."""

from collections.abc import Mapping

import torch
from torch import Tensor

from dlexp.config.callbacks import PruningSettings
from dlexp.measures.functional import trainable_parameters
from dlexp.measures.pruning import Masks, random_masks, random_signs
from dlexp.seeding import derive_seed
from dlexp.train.member import Member
from dlexp.train.network import redrawn


def controlled(
    settings: PruningSettings,
    member: Member,
    weights: Mapping[str, Tensor],
    masks: Masks,
    *,
    cycle: int,
    generator: torch.Generator,
) -> tuple[Mapping[str, Tensor], Masks]:
    """Return the weights and masks that a cycle of training begins with, under ``settings.control``.

    Args:
        settings: of the callback pruning.
        member: what is trained.
        weights, masks: those of the ticket, with which the cycle begins without a control.
        cycle: counted from 1, the first after a pruning.
        generator: of random masks and signs.
    """
    match settings.control:
        case "random":
            return weights, random_masks(masks, generator=generator)
        case "reinitialize":
            seed = derive_seed(f"callbacks/pruning/reinitialize/{cycle}", settings.seed)
            drawn = trainable_parameters(redrawn(member.network_settings, member.network, seed))
            return {name: drawn.get(name, value) for name, value in weights.items()}, masks
        case "random_signs":
            return random_signs(weights, masks, generator=generator), masks
        case _:
            return weights, masks
