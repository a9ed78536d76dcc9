"""Many jobs' networks as one LightningModule: their steps taken together, everything else each its own."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from dlexp.sweeps.bucket import Bucket
from dlexp.sweeps.member import Member
from dlexp.training.module import count_steps_taken
from dlexp.training.optimizers import group_settings, learning_rate_factors, optimizer_over
from dlexp.training.plan import Block, Plan
from dlexp.training.result import Report


class GroupModule(LightningModule):
    """Trains the members of some buckets in lock-step under one Lightning Trainer.

    The losses of all members are summed, so that each gets its own gradient; members with the same optimizer
    settings share a parameter group, a contiguous slice of the stack. What is logged, when a member has
    converged or diverged, and its callbacks are its own affair. A member that has ended is copied out
    of the stack; what the stack still computes in its place reaches nobody.
    """

    def __init__(self, buckets: Sequence[Bucket], plan: Plan, report: Report | None = None) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.buckets = nn.ModuleList(buckets)
        self.members = [member for bucket in buckets for member in bucket.members]
        self.plan = plan
        self.report = report
        self.states: dict[str, tuple[int, dict[str, Tensor]]] = {}
        """By identity, the step at which a member ended and its network's weights."""
        self._restarting: list[Member] = []
        self._masks_seen: list[int] = []
        self._epoch = -1
        for member in self.members:
            member.current_step = lambda: self.trainer.global_step
            member.forget = self._restarting.append
            member.remember = self._optimizer_state

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return one optimizer, with a parameter group for each combination of settings."""
        name = str(self.members[0].optimizer_settings["name"])
        groups: dict[str, dict[str, Any]] = {}
        self._slices: list[tuple[Tensor, slice, Tensor]] = []
        self._owned: list[tuple[Bucket, str, slice, Tensor]] = []
        for bucket in self._each_bucket():
            factors = [learning_rate_factors(member.network, name) for member in bucket.members]
            for parameter_name, _ in bucket.members[0].network.named_parameters():
                parameter = bucket.stack.parameter_of(parameter_name)
                settings = [
                    _settings(member, factor.get(parameter_name, 1.0))
                    for member, factor in zip(bucket.members, factors, strict=True)
                ]
                start = 0
                for _, same in groupby(settings, key=repr):
                    alike = list(same)
                    stop = start + len(alike)
                    own = self._slice(parameter, slice(start, stop))
                    self._owned.append((bucket, parameter_name, slice(start, stop), own))
                    groups.setdefault(repr(alike[0]), {"params": [], **alike[0]})["params"].append(own)
                    start = stop
        return optimizer_over(list(groups.values()), name)

    def on_fit_start(self) -> None:
        """Stack the data beside the weights; the members' tensors are on the device already."""
        for bucket in self._each_bucket():
            bucket.place()

    def training_step(self, block: Block, batch_index: int) -> None:
        """Take the steps of a block for all members."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        groups, schedule, order = optimizer.param_groups, self.members[0].schedule, self.members[0].order
        full_rates = [group.setdefault("initial_lr", group["lr"]) for group in groups]
        buckets = list(self._each_bucket())
        for step in range(block.start, block.stop):
            if schedule.name != "constant":
                factor = schedule.factor(step)
                for group, rate in zip(groups, full_rates, strict=True):
                    group["lr"] = rate * factor
            epoch, index = divmod(step, order.steps_per_epoch)
            if epoch != self._epoch and not order.is_full:
                self._shuffle(epoch)
            optimizer.zero_grad()
            for leaf, _, _ in self._slices:
                leaf.grad = None
            losses = [bucket.total_loss(index) for bucket in buckets]
            torch.stack(losses).sum().backward()
            for leaf, where, part in self._slices:
                part.grad = None if leaf.grad is None else leaf.grad[where]
            optimizer.step()
            for bucket in buckets:
                for parameter, mask in bucket.masks:
                    parameter.mul_(mask)
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
        step = self.trainer.global_step
        is_check = self.plan.is_check(step)
        is_log_point = step in self.plan.log_steps
        if is_check or is_log_point:
            self._look(is_log_point, is_check)
        self._call("on_train_batch_end", None, batch, batch_idx)
        self._after_callbacks()
        self._end([member for member in self._active() if member.outcome != "running"])
        if not self._active():
            self.trainer.should_stop = True

    def on_train_end(self) -> None:
        """End the members that trained to the last step."""
        for member in self._active():
            member.outcome = "completed"
        self._end(self._active())

    def _look(self, is_log_point: bool, is_check: bool) -> None:
        """Evaluate all members; what each makes of it is as in ``Evaluation`` for a job alone."""
        step = self.trainer.global_step
        for member, metrics in zip(self.members, self._evaluate(is_log_point), strict=True):
            if not member.is_active:
                continue
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

    def _evaluate(self, is_log_point: bool) -> list[dict[str, float]]:
        """Return each member's metrics, brought from the device in one transfer."""
        names: list[str] = []
        columns: list[list[Tensor]] = []
        for bucket in self._each_bucket():
            values = bucket.evaluate("train")
            if is_log_point:
                values |= bucket.evaluate("test")
                values["weights/norm"] = bucket.weight_norms()
            names = list(values)
            columns.append(list(values.values()))
        table = torch.cat([torch.stack(column) for column in columns], dim=1).T.tolist()
        return [dict(zip(names, row, strict=True)) for row in table]

    def _end(self, members: Sequence[Member]) -> None:
        """Copy members out of the stack, after their last record and their callbacks' last look."""
        step = self.trainer.global_step
        unlogged = [m for m in members if m.outcome != "diverged" and m.logged_step != step]
        if unlogged:
            metrics = dict(zip(self.members, self._evaluate(is_log_point=True), strict=True))
            for member in unlogged:
                member.record(metrics[member])
                member.logged_step = step
        self._call("on_train_end", among=members)
        for member in members:
            state = {k: v.detach().cpu().clone() for k, v in member.network.state_dict().items()}
            self.states[member.identity] = (step, state)
            member.is_active = False

    def _call(self, hook: str, *arguments: Any, among: Sequence[Member] | None = None) -> None:
        """Call a hook of the members' own callbacks; an error ends the member that raised it, no other."""
        for member in self._active() if among is None else among:
            try:
                for callback in member.callbacks:
                    getattr(callback, hook)(self.trainer, member, *arguments)
            except Exception as error:
                member.error = error
                member.is_active = False
                self.states[member.identity] = (self.trainer.global_step, {})

    def _after_callbacks(self) -> None:
        """Carry out what callbacks asked for: masks, and a fresh optimizer."""
        if self._restarting:
            waiting = [member for member in self._active() if member not in self._restarting]
            optimizer = self.optimizers(use_pl_optimizer=False)
            assert isinstance(optimizer, torch.optim.Optimizer)
            if waiting:
                raise RuntimeError(
                    "some networks of a stack restart while others go on, but they share an optimizer"
                )
            optimizer.state.clear()
            self._restarting.clear()
        masks = [id(member.masks) for member in self.members]
        if masks != self._masks_seen and any(member.masks for member in self.members):
            for bucket in self._each_bucket():
                bucket.take_masks()
        self._masks_seen = masks

    def _optimizer_state(self, member: Member) -> dict[str, dict[str, Any]]:
        """Return a copy of the optimizer's state of one member, by parameter name."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        copies: dict[str, dict[str, Any]] = {}
        for bucket, name, where, own in self._owned:
            if member not in bucket.members[where] or own not in optimizer.state:
                continue
            position = bucket.members[where].index(member)
            inside = tuple(slice(size) for size in member.network.get_parameter(name).shape)
            copies[name] = {
                # a tensor that is not stacked counts the steps of all
                key: value[position][inside].clone() if value.ndim else value.clone()
                for key, value in optimizer.state[own].items()
                if isinstance(value, Tensor)
            }
        return copies

    def _shuffle(self, epoch: int) -> None:
        orders = {member.order.seed: member.order for member in self.members}
        permutations = {
            seed: torch.cat([rows for rows in order.epoch(epoch, self.device) if rows is not None])
            for seed, order in orders.items()
        }
        for bucket in self._each_bucket():
            bucket.shuffle(permutations)
        self._epoch = epoch

    def _slice(self, parameter: nn.Parameter, where: slice) -> Tensor:
        """Return what the optimizer is given for some members of a stacked parameter."""
        if where == slice(0, len(parameter)):
            return parameter
        part = parameter.detach()[where]
        self._slices.append((parameter, where, part))
        return part

    def _active(self) -> list[Member]:
        return [member for member in self.members if member.is_active]

    def _each_bucket(self) -> list[Bucket]:
        return [bucket for bucket in self.buckets if isinstance(bucket, Bucket)]


def _settings(member: Member, factor: float) -> Mapping[str, Any]:
    own = member.optimizer_settings
    return group_settings(own["name"], own["lr"] * factor, own["momentum"], own["betas"], own["weight_decay"])
