"""A network in training, with its data, loss, optimizer, plan, records and measures."""

import contextlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from pytorch_lightning import Callback, LightningDataModule, LightningModule
from torch import Tensor, nn

from dlexp.data.batches import BatchOrder
from dlexp.data.datamodule import Tensors, tensors_of
from dlexp.losses import find as find_loss
from dlexp.records.checkpoint import read_checkpoint
from dlexp.records.recorder import Recorder
from dlexp.seeding import GlobalRandomState
from dlexp.train.batches import Batches
from dlexp.train.network import evaluation_mode, make_network, require_known, require_no_draws
from dlexp.train.optimizers import OptimizerSettings, OptimizerState, make_optimizer, state_by_name
from dlexp.train.plan import Convergence, Plan, Schedule


class Member(LightningModule):
    """A network in training: what callbacks see, whoever takes its steps.

    An ensemble trains members together and keeps the rest of their state. By itself a member is an ordinary
    LightningModule: ``Trainer(callbacks=[NTK()]).fit(member, datamodule)`` trains it as Lightning does, and
    dlexp's callbacks measure it.

    The first arguments are plain data and stored in checkpoints: ``Member.load_from_checkpoint(path)`` needs
    nothing else.

    Args:
        network: settings for :func:`make_network`, or a network.
        loss: a key of ``LOSSES``, or the path of a loss.
        optimizer: the fields of :class:`OptimizerSettings`, and ``schedule``.
        total_steps: where the learning-rate schedule ends, unless ``schedule`` is given.
        data: the data module; None for the Trainer's.
        order: of the batches; None for the whole set at once.
        plan: the steps of the run.
        convergence: when training is over before its last step.
        accumulate: how many batches make an optimizer step.
        clip: ``(limit, algorithm)``: gradients are clipped to this ``norm``, or each entry to this ``value``.
        callbacks: called with the member as their module.
        seed: of the global random state, which the network and callbacks may draw from.

    Attributes:
        tensors: the data on the training device; batches: those of each step.
        recorder: where metrics, arrays and figures go.
        masks: by parameter name; what is masked is exactly 0 after every step.
        outcome: ``running``, then ``completed``, ``converged``, ``diverged`` or ``failed``.
        logged_step: the last at which its losses were recorded.
        remarks: of the ensemble, for the job's log; ``log_context`` leads there while callbacks run.
        stack_difference: in which number a stack would have trained it otherwise, if one would.

    >>> member = Member(nn.Linear(2, 1), loss="mse", optimizer={"name": "sgd", "lr": 0.1})
    >>> member.loss.label
    'mean squared error'
    """

    def __init__(
        self,
        network: Mapping[str, Any] | nn.Module,
        *,
        loss: str,
        optimizer: Mapping[str, Any],
        total_steps: int = 0,
        data: LightningDataModule | None = None,
        order: BatchOrder | None = None,
        schedule: Schedule | None = None,
        plan: Plan | None = None,
        convergence: Convergence | None = None,
        accumulate: int = 1,
        clip: tuple[float, str] | None = None,
        callbacks: list[Callback] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.hparams.update({"loss": loss, "optimizer": dict(optimizer), "total_steps": total_steps})
        if isinstance(network, nn.Module):
            self.network = network
        else:
            self.hparams["network"] = dict(network)
            self.network = make_network(network)
        self.loss = find_loss(loss)
        self.optimizer_settings = OptimizerSettings.of(optimizer)
        self.schedule = schedule or Schedule(optimizer.get("schedule") or "constant", max(total_steps, 1))
        self.data, self.order = data, order
        self.plan = plan or Plan(total_steps, 1, frozenset({0, total_steps}), max(total_steps, 1))
        self.convergence = convergence or Convergence()
        self.accumulate, self.clip = accumulate, clip
        self.callbacks = callbacks or []
        self.random_state = GlobalRandomState(seed)
        self.log_context: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
        self.recorder = Recorder()
        self.masks: dict[str, Tensor] = {}
        self.outcome = "running"
        self.logged_step: int | None = None
        self.error: Exception | None = None
        self.remarks: list[str] = []
        self.stack_difference: str | None = None
        self.companions: list[Companion] = []

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to the run: a copy (``deepcopy``) is a network by itself."""
        own = {"recorder": Recorder(), "callbacks": [], "companions": [], "data": None}
        return {**super().__getstate__(), **own, "log_context": contextlib.nullcontext}

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | Path,
        map_location: Any = None,
        *,
        modules: Collection[str] = (),
        **more: Any,
    ) -> "Member":
        """Return the member of a run's ``last.ckpt``: its network with the trained weights.

        A checkpoint is data, and reading one runs no code of its choosing: the network's class, the loss and
        the optimizer must be of dlexp or torch, or of a module that is imported already or in ``modules``.

        Args:
            checkpoint_path: of the file.
            map_location: where the weights are put.
            modules: names of modules that may be imported for them.
            more: arguments in place of the stored ones; a ``network`` of one's own, say.

        Raises ``ValueError`` for a file that holds no such network, or a class that is not allowed.
        """
        settings, weights = read_checkpoint(checkpoint_path, map_location)
        settings = {**settings, **more}
        require_known({key: settings[key] for key in settings.keys() - more.keys()}, modules)
        member = cls(**settings)
        member.load_state_dict(weights)
        return member

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's outputs (N, output_dim)."""
        return cast(Tensor, self.network(x))

    @property
    def step(self) -> int:
        """The number of optimizer steps taken."""
        return self.trainer.global_step

    @property
    def network_settings(self) -> Mapping[str, Any]:
        """The settings of :func:`make_network` that made this network; empty for one made otherwise."""
        return cast(Mapping[str, Any], self.hparams.get("network", {}))

    def place(self, tensors: Tensors) -> None:
        """Take the data on the training device."""
        self.tensors = tensors
        order = self.order or BatchOrder(len(tensors.x_train), "full", 0)
        self.batches = Batches(tensors.x_train, tensors.y_train, order, self.accumulate)

    def record(self, metrics: Mapping[str, float]) -> None:
        """Log metrics at the present step, in the run's folder and in its loggers."""
        self.recorder.record(metrics, step=self.step, epoch=self.plan.epoch(self.step))

    def log(self, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        """Log a metric as Lightning's modules do: it reaches the recorder, and Lightning's callbacks too."""
        self.record({name: float(value.detach() if isinstance(value, Tensor) else value)})
        module = self.trainer.lightning_module
        log = super().log if module is self else module.log
        log(name, value, *args, **{**kwargs, "logger": False})

    def evaluate(self, split: str) -> dict[str, Tensor]:
        """Return the loss over the whole ``train`` or ``test`` set (for classes the error too), by metric.

        The network is in evaluation mode meanwhile.
        """
        x, y = getattr(self.tensors, f"x_{split}"), getattr(self.tensors, f"y_{split}")
        with torch.no_grad(), evaluation_mode(self.network):
            outputs = self(x)
            metrics = {f"{split}/loss": self.loss(outputs, y)}
            if self.loss.error is not None:
                metrics[f"{split}/error"] = self.loss.mean_error(outputs, y)
        return metrics

    @torch.no_grad()
    def apply_masks(self) -> None:
        """Set to 0 what ``masks`` say."""
        for name, mask in self.masks.items():
            self.network.get_parameter(name).mul_(mask)

    def restart(self, weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> None:
        """Go back to earlier weights (a network's ``state_dict``) under new masks, as if training began here.

        The optimizer forgets its moments; steps are counted on.
        """
        self.masks = dict(masks)
        self.network.load_state_dict(weights)
        self.apply_masks()
        self._owner.refresh(self)

    def optimizer_state(self) -> OptimizerState:
        """Return a copy of what the optimizer remembers of each parameter (moments, steps), by name."""
        return cast(OptimizerState, self._owner.optimizer_state_of(self))

    def take_along(self, network: nn.Module, *, order_seed: int | None, split: bool = False) -> "Companion":
        """Return a member that takes the same steps from here on, beside this one.

        Args:
            network: like this one's; trained in place.
            order_seed: of its batches; None: in the same order.
            split: whether it goes on from this one's optimizer state, or begins anew.

        Raises ``ValueError`` for a network whose training draws random numbers of its own.
        """
        require_no_draws(network)
        companion = Companion(self, network, order_seed)
        self.companions.append(companion)
        self._owner.join(companion, self.optimizer_state() if split else {})
        return companion

    @property
    def _owner(self) -> "Any":
        """Who takes the steps: the ensemble, or the member as Lightning's own module."""
        return self.trainer.lightning_module

    # What Lightning calls where a member is a Trainer's own module.

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer; the learning rate is set in each step."""
        return make_optimizer(self.network, self.optimizer_settings)

    def on_fit_start(self) -> None:
        """Place the data, of any data module, beside the network."""
        datamodule: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        self.order = self.order or getattr(datamodule, "order", None)
        self.place(tensors_of(datamodule, self.device, cast(torch.dtype, self.dtype)))
        total = int(self.trainer.estimated_stepping_batches)
        self.plan = Plan(total, max(1, len(datamodule.train_dataloader())), frozenset({0, total}), total)
        self.schedule.period = max(total, 1)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Return the loss of one batch."""
        x, y = batch
        return self.loss(self(x), y)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take one step at the schedule's rate, keep what is masked at 0."""
        for group in self._torch_optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * self.schedule.factor(self.step)
        super().optimizer_step(*args, **kwargs)
        self.apply_masks()

    def refresh(self, member: "Member") -> None:
        """Let the optimizer begin anew."""
        self._torch_optimizer.state.clear()

    def optimizer_state_of(self, member: "Member") -> OptimizerState:
        """Return a copy of what the optimizer remembers."""
        return state_by_name(self._torch_optimizer, dict(self.network.named_parameters()))

    @property
    def _torch_optimizer(self) -> torch.optim.Optimizer:
        return cast(torch.optim.Optimizer, self.optimizers(use_pl_optimizer=False))

    def join(self, companion: "Companion", state: OptimizerState) -> None:
        """Refuse a companion: Lightning's loop trains one network (``ValueError``)."""
        raise ValueError(
            "a network that is trained beside another needs dlexp's own training (dlexp.train, "
            "scripts/train.py); under a Trainer of one's own a member trains by itself"
        )

    def test_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Log the test loss, for ``trainer.test(member, datamodule)``."""
        loss = self.loss(self(batch[0]), batch[1])
        super().log("test/loss", loss, batch_size=len(batch[1]))
        return loss

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Return the outputs of one batch."""
        return cast(Tensor, self(batch[0]))


class Companion(Member):
    """A member beside another: a twin, a ticket. It has no job; it ends when its leader does."""

    def __init__(self, leader: Member, network: nn.Module, order_seed: int | None) -> None:
        same = {name: getattr(leader, name) for name in ("schedule", "plan", "accumulate", "clip")}
        settings = {name: leader.hparams[name] for name in ("loss", "optimizer")}
        super().__init__(network.train(), **settings, **same)
        self.trainer = leader.trainer
        own = leader.batches.order
        size = "full" if own.is_full else own.batch_size
        self.order = own if order_seed is None else BatchOrder(own.n, size, order_seed)
        self.place(leader.tensors)
