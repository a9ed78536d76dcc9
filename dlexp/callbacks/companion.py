"""A second network that takes the same optimizer steps as a learner's, beside it."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dlexp.data.batches import BatchOrder
from dlexp.measures.functional import require_deterministic
from dlexp.training.learner import Learner, OptimizerState
from dlexp.training.module import make_network
from dlexp.training.optimizers import make_optimizer
from dlexp.training.steps import Batches, run_steps


class Companion:
    """A network of one's own, trained on a learner's data with its loss, optimizer settings and schedule.

    It takes its steps when told to :meth:`catch_up`, so that training needs no hook between them. Beside a
    member of a stack it is trained with the others (``is_stacked``) and has taken them by then.

    Args:
        learner: whose steps it follows.
        network: like the learner's; trained in place, from the learner's present step on.
        order_seed: of batches in another order; None for those of the learner.

    Raises ``ValueError`` for a network whose training draws random numbers of its own.
    """

    def __init__(self, learner: Learner, network: nn.Module, *, order_seed: int | None = None) -> None:
        self.network = network.train()
        require_deterministic(network)
        self.step = learner.step
        self.masks: Mapping[str, Tensor] = {}
        self.loss_name, self.tensors = learner.loss_name, learner.tensors
        self.optimizer_settings = learner.optimizer_settings
        self.pending_state: OptimizerState | None = {}
        self.is_stacked = False
        self._batches = learner.batches
        if order_seed is not None:
            x, y, own = learner.batches.x, learner.batches.y, learner.batches.order
            size = "full" if own.is_full else own.batch_size
            self._batches = Batches(x, y, BatchOrder(own.n, size, order_seed))
        learner.take_along(self)

    @classmethod
    def split_off(cls, learner: Learner, order_seed: int) -> "Companion":
        """Return a companion with the learner's present weights and optimizer state."""
        companion = cls(learner, copy.deepcopy(learner.network), order_seed=order_seed)
        companion.pending_state = learner.optimizer_state()
        return companion

    @property
    def order(self) -> BatchOrder:
        """The order of its batches."""
        return self._batches.order

    def catch_up(self, learner: Learner) -> None:
        """Take the steps that the learner has taken since."""
        if self.step < learner.step and not self.is_stacked:
            self._take_steps(learner)
        self.step = learner.step

    def _take_steps(self, learner: Learner) -> None:
        if self.pending_state is not None:
            self._optimizer = make_optimizer(self.network, **self.optimizer_settings)
            for name, state in self.pending_state.items():
                self._optimizer.state[self.network.get_parameter(name)] = state
            self.pending_state = None
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

    @torch.no_grad()
    def restart(self, weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> None:
        """Go back to earlier weights under new masks, as if training began here."""
        self.masks = masks
        self.network.load_state_dict(weights)
        for name, mask in masks.items():
            self.network.get_parameter(name).mul_(mask)
        self.pending_state = {}


def redrawn(learner: Learner, seed: int) -> nn.Module:
    """Return the network that the learner would have begun with from another initialisation seed."""
    with torch.random.fork_rng(devices=[]):  # a network of a user's own may draw from the global generator
        network = make_network({**learner.network_settings, "seed": seed})
    like = next(learner.network.parameters())
    return network.to(device=like.device, dtype=like.dtype)
