"""The LightningModule: a network, its loss, its optimizer; single steps or blocks of them."""

import copy
import importlib
from collections.abc import Mapping
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from dlexp.data.datamodule import SyntheticDataModule
from dlexp.seeding import make_generator
from dlexp.training.learner import Learner
from dlexp.training.losses import LOSSES
from dlexp.training.optimizers import make_optimizer
from dlexp.training.plan import Block, Plan
from dlexp.training.recorder import Recorder
from dlexp.training.steps import Batches, Schedule, run_steps


def make_network(settings: Mapping[str, Any]) -> nn.Module:
    """Return the network that plain settings describe: ``_target_`` names the class, ``seed`` its weights.

    The other settings are its arguments; ``generator``, drawn from the seed, is added. Raises ``ImportError``
    or ``AttributeError`` if there is no such class and ``TypeError`` if it does not take these arguments.
    """
    arguments = {key: value for key, value in settings.items() if key not in ("_target_", "seed")}
    module, _, name = settings["_target_"].rpartition(".")
    network_class = getattr(importlib.import_module(module), name)
    return cast(nn.Module, network_class(**arguments, generator=make_generator("model", settings["seed"])))


def count_steps_taken(trainer: Trainer, steps: int) -> None:
    """Count optimizer steps as Lightning's own optimizer wrapper does; ``trainer.global_step`` reads it."""
    progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    for count in (progress.total, progress.current):
        count.ready += steps
        count.completed += steps


class SupervisedModule(Learner, LightningModule):
    """A network trained on one of dlexp's data modules.

    A batch is either ``(x, y)``, one optimizer step in Lightning's ordinary way (with ``in_blocks=False``),
    or a :class:`Block` of many steps, the same steps without Lightning's work between them. Both count their
    steps in ``trainer.global_step`` and give the same numbers.

    All arguments but ``plan`` and ``recorder`` are plain data and stored in checkpoints, so that
    ``SupervisedModule.load_from_checkpoint(path)`` needs nothing else.

    Args:
        network: settings for :func:`make_network`.
        loss: a key of ``LOSSES``.
        optimizer: arguments of :func:`make_optimizer`, and ``schedule``.
        total_steps: where the learning-rate schedule ends.
        in_blocks: whether batches are blocks.
        plan, recorder: what a fit needs; set by the builder.
    """

    def __init__(
        self,
        network: Mapping[str, Any],
        *,
        loss: str,
        optimizer: Mapping[str, Any],
        total_steps: int,
        in_blocks: bool = False,
        plan: Plan | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["plan", "recorder"])
        self.network = make_network(network)
        self.loss_name = loss
        self.loss_fn = LOSSES[loss]
        self.schedule = Schedule(optimizer.get("schedule", "constant"), max(total_steps, 1))
        self.automatic_optimization = not in_blocks
        self.outcome = "running"  # then "completed", "converged" or "diverged"
        self.masks: dict[str, Tensor] = {}  # by parameter name; what is masked is exactly 0 after every step
        if plan is not None:
            self.plan = plan
        if recorder is not None:
            self.recorder = recorder

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's outputs (N, output_dim)."""
        return cast(Tensor, self.network(x))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimizer; outside blocks, with the schedule as Lightning steps it."""
        optimizer = make_optimizer(self.network, **self.optimizer_settings)
        if not self.automatic_optimization or self.schedule.name == "constant":
            return optimizer
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.schedule.factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Place the whole data set beside the network."""
        datamodule = cast(SyntheticDataModule, self.trainer.datamodule)  # type: ignore[attr-defined]
        self.tensors = datamodule.tensors(self.device, cast(torch.dtype, self.dtype))
        self.batches = Batches(self.tensors.x_train, self.tensors.y_train, datamodule.order)

    def training_step(self, batch: Block | tuple[Tensor, Tensor], batch_index: int) -> Tensor | None:
        """Return the loss of one batch, or train through a block."""
        if isinstance(batch, Block):
            self.train_block(batch)
            return None
        x, y = batch
        return self.loss_fn(self.network(x), y)

    def train_block(self, block: Block) -> None:
        """Take the optimizer steps ``block.start`` to ``block.stop - 1``."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        run_steps(self.network, self.loss_fn, optimizer, self.schedule, self.batches, *block, self.masks)
        count_steps_taken(self.trainer, block.stop - block.start)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take one step outside blocks, and keep what is masked at 0."""
        super().optimizer_step(*args, **kwargs)
        self.apply_masks()

    def forget_moments(self) -> None:
        """Empty the optimizer's state."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        optimizer.state.clear()

    def optimizer_state(self) -> dict[str, dict[str, Any]]:
        """Return a copy of what the optimizer remembers of each parameter (moments, steps), by name."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return {
            name: copy.deepcopy(optimizer.state[parameter])
            for name, parameter in self.network.named_parameters()
            if parameter in optimizer.state
        }

    @property
    def network_settings(self) -> Mapping[str, Any]:
        """The settings of :func:`make_network` that made this network."""
        return cast(Mapping[str, Any], self.hparams["network"])

    @property
    def optimizer_settings(self) -> dict[str, Any]:
        """The arguments of ``make_optimizer`` that this network is trained with."""
        return {key: value for key, value in self.hparams["optimizer"].items() if key != "schedule"}

    @property
    def step(self) -> int:
        """The number of optimizer steps taken."""
        return self.trainer.global_step

    def test_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Log the test loss, for ``trainer.test(module, datamodule)``."""
        x, y = batch
        loss = self.loss_fn(self.network(x), y)
        self.log("test/loss", loss, batch_size=len(x))
        return loss

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Return the outputs of one batch."""
        return cast(Tensor, self.network(batch[0]))
