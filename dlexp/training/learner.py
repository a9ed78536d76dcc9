"""What a callback sees: a network in training, its data, loss and records, whoever drives its steps."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from dlexp.data.batches import BatchOrder
from dlexp.data.datamodule import Tensors
from dlexp.measures.functional import Loss
from dlexp.training.losses import ERRORS
from dlexp.training.plan import Plan
from dlexp.training.recorder import Recorder
from dlexp.training.steps import Batches, Schedule

OptimizerState = dict[str, dict[str, Any]]
"""What an optimizer remembers of a network's parameters (moments, steps), by their names."""


class Trainee(Protocol):
    """A network that is to take optimizer steps, alone or with others."""

    @property
    def network(self) -> nn.Module:
        """Trained in place."""

    @property
    def loss_name(self) -> str:
        """What is minimised, a key of ``LOSSES``."""

    @property
    def tensors(self) -> Tensors:
        """The data on the training device."""

    @property
    def order(self) -> BatchOrder:
        """The order of its batches."""

    @property
    def optimizer_settings(self) -> Mapping[str, Any]:
        """The arguments of ``make_optimizer``."""

    @property
    def masks(self) -> Mapping[str, Tensor]:
        """By parameter name; what is masked is exactly 0 after every step."""


class Follower(Trainee, Protocol):
    """A network beside a learner's that is to take the same steps.

    It takes them itself when told to, unless somebody who trains many networks at once sets ``is_stacked``.

    Attributes:
        step: that its weights are those of.
        pending_state: what the optimizer is to go on from, empty for a fresh one; None once it does.
        is_stacked: whether somebody else takes its steps.
    """

    step: int
    pending_state: OptimizerState | None
    is_stacked: bool


class Learner:
    """A network in training: either a LightningModule of its own or one member of a stack trained at once.

    Attributes:
        network: an ordinary module with the present weights.
        loss_name, loss_fn: what is minimised.
        tensors, batches: the data on the training device, the batch of each step.
        plan: the steps of the run.
        schedule: of the learning rate.
        recorder: where metrics, arrays and figures go.
        masks: by parameter name; what is masked is exactly 0 after every step.
        outcome: ``running``, then ``completed``, ``converged`` or ``diverged``.
    """

    network: nn.Module
    loss_name: str
    loss_fn: Loss
    tensors: Tensors
    batches: Batches
    plan: Plan
    schedule: Schedule
    recorder: Recorder
    masks: dict[str, Tensor]
    outcome: str

    @property
    @abstractmethod
    def step(self) -> int:
        """The number of optimizer steps taken."""

    @property
    @abstractmethod
    def network_settings(self) -> Mapping[str, Any]:
        """The settings of ``make_network`` that made this network; another ``seed`` makes a sibling."""

    @property
    @abstractmethod
    def optimizer_settings(self) -> Mapping[str, Any]:
        """The arguments of ``make_optimizer`` that this network is trained with."""

    @abstractmethod
    def optimizer_state(self) -> OptimizerState:
        """Return a copy of what the optimizer remembers of each parameter (moments, steps), by name."""

    @abstractmethod
    def forget_moments(self) -> None:
        """Let the optimizer go on as if it had not taken a step."""

    def take_along(self, follower: Follower) -> None:
        """Be told of a network that is to take the same steps; alone, it is left to take them itself."""

    def record(self, metrics: Mapping[str, float]) -> None:
        """Log metrics at the present step, in the run's folder and in its loggers."""
        self.recorder.record(metrics, step=self.step, epoch=self.plan.epoch(self.step))

    @torch.no_grad()
    def evaluate(self, split: str) -> dict[str, Tensor]:
        """Return the loss over the whole ``train`` or ``test`` set (for classes the error too), by metric."""
        x, y = getattr(self.tensors, f"x_{split}"), getattr(self.tensors, f"y_{split}")
        outputs = cast(Tensor, self.network(x))
        metrics = {f"{split}/loss": self.loss_fn(outputs, y)}
        if self.loss_name in ERRORS:
            metrics[f"{split}/error"] = ERRORS[self.loss_name](outputs, y)
        return metrics

    @torch.no_grad()
    def apply_masks(self) -> None:
        """Set to 0 what ``masks`` say."""
        for name, mask in self.masks.items():
            self.network.get_parameter(name).mul_(mask)

    def restart(self, weights: Mapping[str, Tensor]) -> None:
        """Go back to earlier weights (a network's ``state_dict``) under the present masks.

        The optimizer forgets its moments, as if training began here; steps are counted on.
        """
        self.network.load_state_dict(weights)
        self.apply_masks()
        self.forget_moments()
