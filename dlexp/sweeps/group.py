"""Many jobs' networks as one LightningModule: their steps taken together, everything else each its own."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from dlexp.sweeps.buckets import partition, step_cost
from dlexp.sweeps.lockstep import Lockstep
from dlexp.sweeps.member import Member
from dlexp.sweeps.stack import unstack
from dlexp.training.learner import Follower, Trainee
from dlexp.training.module import count_steps_taken
from dlexp.training.plan import Block
from dlexp.training.result import Report

# The networks still in training are stacked anew when their steps alone would cost less than this share.
COMPACT_BELOW = 0.6


class GroupModule(LightningModule):
    """Trains members in lock-step under one Lightning Trainer.

    What is logged, when a member has converged or diverged, and its callbacks are its own affair. A member
    that has ended is copied out of the stack; what the stack still computes in its place reaches nobody, and
    once enough members have ended the others are stacked anew.
    """

    def __init__(self, members: Sequence[Member], report: Report | None = None) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.members = list(members)
        self.plan = members[0].plan
        self.report = report
        self.lockstep = Lockstep(partition(members))
        self.states: dict[str, tuple[int, dict[str, Tensor]]] = {}
        """By identity, the step at which a member ended and its network's weights."""
        self._followers: dict[Follower, Member] = {}
        self._restarting: list[Member] = []
        self._masks_seen: list[int] = []
        for member in members:
            member.current_step = lambda: self.trainer.global_step
            member.forget = self._restarting.append
            member.remember = lambda member: self.lockstep.state_of(member)
            member.join = self._join

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer of all members."""
        return self.lockstep.optimizer

    def training_step(self, block: Block, batch_index: int) -> None:
        """Take the steps of a block for all members."""
        schedule = (self._active() or self.members)[0].schedule
        self.lockstep.take_steps(block.start, block.stop, schedule)
        count_steps_taken(self.trainer, block.stop - block.start)

    def on_train_start(self) -> None:
        """Let every member record its initial network."""
        for member in self.members:
            member.record({"model/parameters": sum(p.numel() for p in member.network.parameters())})
        self._look(is_log_point=True, is_check=False)
        self._call("on_train_start")
        self._after_callbacks()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Let every member look at itself, and end those that are done."""
        step, count = self.trainer.global_step, len(self._active())
        is_check = self.plan.is_check(step)
        is_log_point = step in self.plan.log_steps
        if step and (is_check or is_log_point):  # step 0 was looked at when training started
            self._look(is_log_point, is_check)
        self._call("on_train_batch_end", None, batch, batch_idx)
        self._after_callbacks()
        self._end([member for member in self._active() if member.outcome != "running"])
        if not self._active():
            self.trainer.should_stop = True
        elif len(self._active()) < count and step < self.plan.total_steps:
            self._compact()

    def on_train_end(self) -> None:
        """End the members that trained to the last step."""
        for member in self._active():
            member.outcome = "completed"
        self._end(self._active())

    def _look(self, is_log_point: bool, is_check: bool) -> None:
        """Evaluate all members; what each makes of it is as in ``Evaluation`` for a job alone."""
        step = self.trainer.global_step
        evaluated = self.lockstep.evaluate(is_log_point=is_log_point)
        for member in self._active():
            metrics = evaluated[member]
            loss = metrics["train/loss"]
            if not math.isfinite(loss):
                member.outcome = "diverged"
                continue
            if is_check and member.convergence.is_reached(loss, step):
                member.outcome = "converged"
            if is_log_point and member.logged_step != step:
                member.record(metrics)
                member.logged_step = step
        if self.report is not None:
            self.report(step, self.plan.total_steps, math.nan)

    def _end(self, members: Sequence[Member]) -> None:
        """Copy members out of the stack, after their last record and their callbacks' last look."""
        step = self.trainer.global_step
        unlogged = [m for m in members if m.outcome != "diverged" and m.logged_step != step]
        if unlogged:
            evaluated = self.lockstep.evaluate(is_log_point=True)
            for member in unlogged:
                member.record(evaluated[member])
                member.logged_step = step
        self._call("on_train_end", among=members)
        for member in members:
            self._take_out(member)
            state = {k: v.cpu() for k, v in member.network.state_dict().items()}
            self.states[member.identity] = (step, state)

    def _take_out(self, member: Member) -> None:
        """Give a member and its followers weights of their own: they are done."""
        member.is_active = False
        for network in [member.network, *(f.network for f, m in self._followers.items() if m is member)]:
            unstack(network)

    def _call(self, hook: str, *arguments: Any, among: Sequence[Member] | None = None) -> None:
        """Call a hook of the members' own callbacks; an error ends the member that raised it, no other."""
        for member in self._active() if among is None else among:
            try:
                for callback in member.callbacks:
                    getattr(callback, hook)(self.trainer, member, *arguments)
            except Exception as error:
                member.error = error
                self._take_out(member)
                self.states[member.identity] = (self.trainer.global_step, {})

    def _join(self, follower: Follower, member: Member) -> None:
        self._followers[follower] = member

    def _after_callbacks(self) -> None:
        """Carry out what callbacks asked for: a fresh optimizer, followers to train too, masks."""
        pending = [f for f, m in self._followers.items() if m.is_active and f.pending_state is not None]
        self._restart([*self._restarting, *(f for f in pending if f.is_stacked)])
        joining = [f for f in pending if not f.is_stacked and self._can_join(f)]
        if joining:
            self._restack(self._in_training(), joining)
        for follower in joining:
            follower.is_stacked, follower.pending_state = True, None
        masks = [id(trainee.masks) for trainee in self.lockstep.trainees]
        if masks != self._masks_seen and any(trainee.masks for trainee in self.lockstep.trainees):
            self.lockstep.take_masks()
        self._masks_seen = masks

    def _restart(self, restarting: Sequence[Trainee]) -> None:
        if not restarting:
            return
        if not set(restarting).issuperset(self._in_training()):
            raise RuntimeError(
                "some networks of a stack restart while others go on, but they share an optimizer"
            )
        self.lockstep.forget_moments()
        self._restarting.clear()
        for follower in self._followers:
            if follower.is_stacked:
                follower.pending_state = None

    def _can_join(self, follower: Follower) -> bool:
        """Whether a follower's optimizer has taken as many steps as its member's: else it trains itself."""
        assert follower.pending_state is not None
        of_member = self.lockstep.state_of(self._followers[follower])
        is_as_old = any(of_member.values()) == any(follower.pending_state.values())
        return is_as_old and follower.step == self.trainer.global_step

    def _compact(self) -> None:
        """Stack the networks still in training anew if that makes a step much cheaper."""
        staying = self._in_training()
        if step_cost(partition(staying)) < COMPACT_BELOW * step_cost(self.lockstep.partition):
            self._restack(staying)

    def _restack(self, staying: Sequence[Trainee], joining: Sequence[Follower] = ()) -> None:
        states = {trainee: self.lockstep.state_of(trainee) for trainee in staying}
        states |= {follower: follower.pending_state or {} for follower in joining}
        self.lockstep = Lockstep(partition([*staying, *joining]), states)
        self.trainer.optimizers = [self.lockstep.optimizer]

    def _in_training(self) -> list[Trainee]:
        followers = [f for f, member in self._followers.items() if f.is_stacked and member.is_active]
        return [*self._active(), *followers]

    def _active(self) -> list[Member]:
        return [member for member in self.members if member.is_active]
