"""Members in training under one Trainer: everything that has state is written here, once."""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from dlexp.data.datamodule import tensors_of
from dlexp.train.engines import Engines
from dlexp.train.keeper import Keeper
from dlexp.train.lightning import count_steps_taken
from dlexp.train.member import Companion, Member
from dlexp.train.optimizers import OptimizerState, clip_gradients
from dlexp.train.plan import Block
from dlexp.train.sandbox import call_callbacks, fail
from dlexp.train.stacks.check import StackDifference, require_equal_end
from dlexp.train.stacks.engine import Stacks
from dlexp.train.stacks.weights import unstack

Report = Callable[[int, int, float], None]
"""Told (step, total steps, training loss) while an ensemble trains."""


class Ensemble(LightningModule):
    """Trains members together, one or many; each ends by itself.

    Between blocks of
    steps the ensemble evaluates losses, ends what has converged or diverged, and calls the members' callbacks
    with the member as their module. An error in one member's training ends that member alone.

    Args:
        members: of the same plan.
        engine: ``auto``; ``loop`` to train each by the loop; ``stack`` to raise ``ValueError`` for a member
            that no stack holds.
        in_single_steps: whether Lightning's hooks are called around each optimizer step; for one member.
        report: told how far training is.
        on_end: called with each member as it ends, after its last record.
        keeper: keeps snapshots between blocks, and lets the members go on from one.

    Attributes:
        engines: what takes the members' steps.
        final_states: what the optimizer of each ended member remembers.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        engine: str = "auto",
        in_single_steps: bool = False,
        report: Report | None = None,
        on_end: Callable[[Member], None] | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.members = nn.ModuleList(members)
        self.plan = members[0].plan
        self.in_single_steps = in_single_steps
        self.report, self.on_end, self.keeper = report, on_end, keeper
        self.engines = Engines(engine, lightning=self if in_single_steps else None)
        self.final_states: dict[Member, OptimizerState] = {}
        self._joining: dict[Companion, OptimizerState] = {}

    # What members ask for.

    def refresh(self, member: Member) -> None:
        """Be told that a member began anew: with other weights and masks, its optimizer with nothing."""
        if member in self._joining:
            self._joining[member] = {}
        else:
            self.engines.of(member).refresh(member, forget=True)

    def optimizer_state_of(self, member: Member) -> OptimizerState:
        """Return a copy of what the optimizer remembers of a member."""
        if member in self.final_states:
            return self.final_states[member]
        return self.engines.of(member).state(member)

    def join(self, companion: Companion, state: OptimizerState) -> None:
        """Take a companion along from the next block on."""
        self._joining[companion] = state

    # What Lightning calls.

    def configure_optimizers(self) -> None:
        """Return nothing: engines have optimizers of their own."""

    def setup(self, stage: str) -> None:
        """Give members their Trainer, and let their callbacks set themselves up."""
        for member in self._members:
            member.trainer = self.trainer
        self._call("setup", stage)

    def on_fit_start(self) -> None:
        """Place the data beside the networks, and choose engines."""
        for member in self._members:
            member.place(tensors_of(member.data, self.device, cast(torch.dtype, self.dtype)))
        if self.keeper is not None and self.keeper.stored is not None:
            self.keeper.restore(self)
        else:
            self.engines.take(self._running, {}, step=0)
        self._call("on_fit_start")

    def on_train_start(self) -> None:
        """Let every member record its initial network, unless training goes on."""
        if self.keeper is not None:
            self.keeper.listen()
        if self.trainer.global_step:
            return
        for member in self._running:
            count = sum(p.numel() for p in member.network.parameters() if p.requires_grad)
            member.record({"model/parameters": count})
        self._look(is_log_point=True, is_check=False)
        self._call("on_train_start")
        self._after_callbacks()

    def training_step(self, block: Block, batch_index: int) -> dict[str, Tensor] | None:
        """Take the steps of a block for all members; of a single step, return the loss for Lightning."""
        self.engines.advance(*block)
        count_steps_taken(self.trainer, block.stop - block.start)
        loss = self.engines.last_loss if self.in_single_steps else None
        return None if loss is None else {"loss": loss}

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Let every member look at itself, and end those that are done."""
        step = self.trainer.global_step
        is_log_point, is_check = step in self.plan.log_steps, self.plan.is_check(step)
        is_epoch_end = self.in_single_steps and step % self.plan.steps_per_epoch == 0
        if step and (is_log_point or is_check or is_epoch_end):  # step 0 was looked at when training began
            self._look(is_log_point, is_check)
        self._call("on_train_batch_end", outputs, self._rows_of(batch), batch_idx)
        ended = [member for member in self._running_or_failed if member.outcome != "running"]
        self._end(ended)  # while it still has an engine
        self._after_callbacks()
        if not self._running:
            self.trainer.should_stop = True
        elif ended and step < self.plan.total_steps:
            self.engines.compact(set(self._in_training), step)
        if self.keeper is not None and self._running and step < self.plan.total_steps:
            self.keeper.look(self)

    def on_train_end(self) -> None:
        """End the members that trained to the last step."""
        running = self._running
        for member in running:
            member.outcome = "completed"
        self._end(running)

    def on_fit_end(self) -> None:
        """Let callbacks know."""
        self._call("on_fit_end", among=self._members)

    def teardown(self, stage: str) -> None:
        """Let callbacks put away what they have."""
        self._call("teardown", stage, among=self._members)

    def on_train_epoch_start(self) -> None:
        """Pass the hook on."""
        self._call_if_single("on_train_epoch_start")

    def on_train_epoch_end(self) -> None:
        """Pass the hook on."""
        self._call_if_single("on_train_epoch_end")

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Pass the hook on."""
        self._call_if_single("on_train_batch_start", self._rows_of(batch), batch_idx)

    def on_before_backward(self, loss: Tensor) -> None:
        """Pass the hook on."""
        self._call_if_single("on_before_backward", loss)

    def on_after_backward(self) -> None:
        """Pass the hook on."""
        self._call_if_single("on_after_backward")

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Pass the hook on, then clip the gradient, as Lightning does."""
        self._call_if_single("on_before_optimizer_step", optimizer)
        for member in self._running:
            clip_gradients(member.network, member.clip)

    def on_before_zero_grad(self, optimizer: Any) -> None:
        """Pass the hook on."""
        self._call_if_single("on_before_zero_grad", optimizer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let a checkpoint that a callback saves hold the member, not the ensemble around it."""
        (member,) = self._members
        checkpoint["state_dict"] = member.state_dict()
        checkpoint["hyper_parameters"] = dict(member.hparams)

    # How it does all that.

    @property
    def _members(self) -> list[Member]:
        return cast(list[Member], list(self.members))

    @property
    def _running(self) -> list[Member]:
        return [member for member in self._members if member.outcome == "running"]

    @property
    def _running_or_failed(self) -> list[Member]:
        """Members that have not been ended."""
        return [member for member in self._members if member not in self.final_states]

    @property
    def _in_training(self) -> list[Member]:
        """The members whose steps are taken: those running and their companions."""
        running = self._running
        return [*running, *(c for member in running for c in member.companions if c not in self._joining)]

    def _rows_of(self, block: Block) -> Any:
        """Return the rows ``(x, y)`` of a single step, what Lightning's callbacks know as a batch."""
        if not self.in_single_steps:
            return block
        batches = self._members[0].batches[block.start]
        return tuple(torch.cat(parts) for parts in zip(*batches, strict=True))

    def _after_callbacks(self) -> None:
        """Take along what callbacks asked for: engines are made anew for all."""
        if not self._joining:
            return
        staying = self._in_training
        states = {member: self.optimizer_state_of(member) for member in staying} | self._joining
        self._joining = {}
        self.engines.take(self._in_training, states, step=self.trainer.global_step)

    def _look(self, is_log_point: bool, is_check: bool) -> None:
        """Evaluate all members at the present step; record, and judge by the training loss."""
        step, shown = self.trainer.global_step, math.nan
        for member, metrics in self.engines.evaluate(is_log_point or self.in_single_steps).items():
            if member.outcome != "running" or isinstance(member, Companion):
                continue
            loss = metrics["train/loss"]
            shown = loss if len(self.members) == 1 else math.nan
            if not math.isfinite(loss):
                member.outcome = "diverged"
                continue
            if is_check and member.convergence.is_reached(loss, step):
                member.outcome = "converged"
            if is_log_point and member.logged_step != step:
                member.record(metrics)
                member.logged_step = step
            if self.in_single_steps and step:
                # For Lightning's own callbacks (EarlyStopping, ModelCheckpoint), which read callback_metrics.
                self.log_dict(metrics, logger=False)
        if is_log_point and step:
            self._audit(step)
        if self.report is not None:
            self.report(step, self.plan.total_steps, shown)

    def _audit(self, step: int) -> None:
        """End members whose engine no longer trains them as they would train alone."""
        found = self.engines.differences(step)
        for member in self._running:
            for different in {member, *member.companions} & found.keys():
                fail(member, StackDifference(found[different]))

    def _end(self, members: Sequence[Member]) -> None:
        """End members: their last record, their callbacks' last look, weights of their own."""
        if not members:
            return
        step = self.trainer.global_step
        sound = [member for member in members if member.outcome in ("completed", "converged")]
        if sound:
            evaluated = self.engines.evaluate(with_all=True)
            for member in sound:
                if member.logged_step != step:
                    member.record(evaluated[member])
                    member.logged_step = step
                if isinstance(self.engines.of(member), Stacks):
                    try:
                        require_equal_end(member, evaluated[member])
                    except StackDifference as difference:
                        fail(member, difference)
        self._call("on_train_end", among=[m for m in members if m.outcome != "failed"])
        for member in members:
            # One whose callback failed when it was set up has no engine.
            engine = next((engine for engine in self.engines if member in engine.members), None)
            self.final_states[member] = {} if engine is None else engine.state(member)
            for own in (member, *member.companions):
                unstack(own.network)
            if self.on_end is not None:
                self.on_end(member)

    def _call_if_single(self, hook: str, *arguments: Any) -> None:
        if self.in_single_steps:
            self._call(hook, *arguments)

    def _call(self, hook: str, *arguments: Any, among: Sequence[Member] | None = None) -> None:
        """Call a hook of callbacks: of those members that have not been ended, or of these."""
        call_callbacks(hook, self._running_or_failed if among is None else among, *arguments)
