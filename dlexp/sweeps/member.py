"""One network of a stack, as its callbacks and its records see it."""

from collections.abc import Callable, Mapping
from typing import Any

from pytorch_lightning import Callback
from torch import nn

from dlexp.data.batches import BatchOrder
from dlexp.data.datamodule import Tensors
from dlexp.training.evaluation import Convergence
from dlexp.training.learner import Follower, Learner, OptimizerState
from dlexp.training.losses import LOSSES
from dlexp.training.plan import Plan
from dlexp.training.recorder import Recorder
from dlexp.training.steps import Batches, Schedule


class Member(Learner):
    """A network whose weights are a view into a stack that is trained as one.

    Args:
        identity: of its job.
        settings: plain arguments of the ``SupervisedModule`` that would train it alone.
        network: the ordinary network.
        order: of its batches.
        plan: the steps of the run, shared by the stack.
        convergence: when it is done.
        callbacks: its own, called with the member in place of the LightningModule.

    The stack sets ``current_step``, which tells its step, ``forget`` and ``remember``, which ask it to reset
    or to copy what its optimizer knows of this member, and ``join``, which asks it to train a follower too.
    """

    def __init__(
        self,
        identity: str,
        settings: Mapping[str, Any],
        network: nn.Sequential,
        order: BatchOrder,
        plan: Plan,
        convergence: Convergence,
        callbacks: list[Callback],
    ) -> None:
        self.identity = identity
        self.settings = settings
        self.network: nn.Sequential = network
        self.loss_name = settings["loss"]
        self.loss_fn = LOSSES[self.loss_name]
        self.order = order
        self.plan = plan
        self.schedule = Schedule(settings["optimizer"]["schedule"], max(plan.total_steps, 1))
        self.convergence = convergence
        self.callbacks = callbacks
        self.recorder = Recorder()
        self.masks = {}
        self.outcome = "running"
        self.error: Exception | None = None
        self.logged_step = -1
        self.is_active = True
        self.current_step: Callable[[], int] = lambda: 0
        self.forget: Callable[[Member], None] = lambda member: None
        self.remember: Callable[[Member], OptimizerState] = lambda member: {}
        self.join: Callable[[Follower, Member], None] = lambda follower, member: None

    @property
    def step(self) -> int:
        """The number of optimizer steps taken."""
        return self.current_step()

    @property
    def optimizer_settings(self) -> dict[str, Any]:
        """The arguments of ``make_optimizer`` that this network is trained with."""
        return {k: v for k, v in self.settings["optimizer"].items() if k != "schedule"}

    @property
    def network_settings(self) -> Mapping[str, Any]:
        """The settings of ``make_network`` that made this network."""
        settings: Mapping[str, Any] = self.settings["network"]
        return settings

    def optimizer_state(self) -> OptimizerState:
        """Return a copy of what the optimizer remembers of each parameter (moments, steps), by name."""
        return self.remember(self)

    def forget_moments(self) -> None:
        """Let the optimizer go on as if it had not taken a step."""
        self.forget(self)

    def take_along(self, follower: Follower) -> None:
        """Let the stack train a network beside this one."""
        self.join(follower, self)

    def place(self, tensors: Tensors) -> None:
        """Take the data on the training device, and move the network there."""
        self.network.to(tensors.x_train)
        self.tensors = tensors
        self.batches = Batches(tensors.x_train, tensors.y_train, self.order)
