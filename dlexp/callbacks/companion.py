"""A second network that takes the same optimizer steps as a learner's, beside it."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dlexp.data.batches import BatchOrder
from dlexp.measures.functional import require_deterministic
from dlexp.training.learner import Learner
from dlexp.training.module import make_network
from dlexp.training.optimizers import make_optimizer
from dlexp.training.steps import Batches, run_steps


class Companion:
    """A network of one's own, trained on a learner's data with its loss, optimizer settings and schedule.

    It takes its steps when told to :meth:`catch_up`, so that training needs no hook between them.

    Args:
        learner: whose steps it follows.
        network: trained in place, from the learner's present step on.
        order_seed: of batches in another order; None for those of the learner.

    Raises ``ValueError`` for a network whose training draws random numbers of its own.
    """

    def __init__(self, learner: Learner, network: nn.Module, *, order_seed: int | None = None) -> None:
        self.network = network.train()
        require_deterministic(network)
        self.step = learner.step
        self.masks: Mapping[str, Tensor] = {}
        self._optimizer = make_optimizer(network, **learner.optimizer_settings)
        self._batches = learner.batches
        if order_seed is not None:
            x, y, own = learner.batches.x, learner.batches.y, learner.batches.order
            size = "full" if own.is_full else own.batch_size
            self._batches = Batches(x, y, BatchOrder(own.n, size, order_seed))

    @classmethod
    def split_off(cls, learner: Learner, order_seed: int) -> "Companion":
        """Return a companion with the learner's present weights and optimizer state."""
        companion = cls(learner, copy.deepcopy(learner.network), order_seed=order_seed)
        parameters = dict(companion.network.named_parameters())
        for name, state in learner.optimizer_state().items():
            companion._optimizer.state[parameters[name]] = state
        return companion

    def catch_up(self, learner: Learner) -> None:
        """Take the steps that the learner has taken since."""
        with torch.enable_grad():
            run_steps(
                self.network,
                learner.loss_fn,
                self._optimizer,
                learner.schedule,
                self._batches,
                self.step,
                learner.step,
                self.masks,
            )
        self.step = learner.step

    @torch.no_grad()
    def restart(self, weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> None:
        """Go back to earlier weights under new masks, as if training began here."""
        self.masks = masks
        self.network.load_state_dict(weights)
        for name, mask in masks.items():
            self.network.get_parameter(name).mul_(mask)
        self._optimizer.state.clear()


def redrawn(learner: Learner, seed: int) -> nn.Module:
    """Return the network that the learner would have begun with from another initialisation seed."""
    with torch.random.fork_rng(devices=[]):  # a network of a user's own may draw from the global generator
        network = make_network({**learner.network_settings, "seed": seed})
    like = next(learner.network.parameters())
    return network.to(device=like.device, dtype=like.dtype)
