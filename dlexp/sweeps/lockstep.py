"""Networks that take their optimizer steps together: stacked in buckets, under one optimizer."""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlexp.sweeps.bucket import Bucket
from dlexp.sweeps.step_graphs import CudaRecorder, StepGraphs, StepRecorder, can_record
from dlexp.training.learner import OptimizerState, Trainee
from dlexp.training.optimizers import (
    LearningRates,
    group_settings,
    learning_rate_factors,
    optimizer_over,
)
from dlexp.training.steps import Schedule


class _Part(NamedTuple):
    """What the optimizer is given for neighbours in a bucket: a slice of one of its stacked parameters."""

    bucket: Bucket
    name: str
    where: slice
    tensor: Tensor

    def own_view(self, position: int, like: Tensor) -> Tensor:
        """Return what of a tensor like this part belongs to the bucket's network at ``position``."""
        padded = like[position - self.where.start]
        return self.bucket.stack.view_of_member(position, self.name, padded)


class Lockstep:
    """Trains the networks of some buckets, all by the same number of steps.

    The losses of all are summed, so that each gets its own gradient; networks with the same optimizer
    settings share a parameter group, a contiguous slice of the stack.

    Args:
        partition: the networks of each bucket, those with like optimizer settings next to each other.
        states: of the optimizer, for networks that have taken steps already; none or all of them, with as
            many steps taken by each.
        recorder: makes recorded steps; by default CUDA graphs where the networks are on a GPU.
    """

    def __init__(
        self,
        partition: Sequence[Sequence[Trainee]],
        states: Mapping[Trainee, OptimizerState] | None = None,
        recorder: StepRecorder | None = None,
    ) -> None:
        self.partition = partition
        self.buckets = [Bucket(trainees) for trainees in partition]
        self._parts: list[_Part] = []
        self._epoch = -1
        self.optimizer = self._make_optimizer()
        if states:
            self._set_states(states)
        is_on_gpu = self._parts[0].tensor.device.type == "cuda"
        self._graphs = StepGraphs(recorder or CudaRecorder()) if recorder or is_on_gpu else None
        self._rates: LearningRates | None = None

    @property
    def trainees(self) -> list[Trainee]:
        """All networks, bucket by bucket."""
        return [trainee for bucket in self.buckets for trainee in bucket.trainees]

    def take_steps(self, start: int, stop: int, schedule: Schedule) -> None:
        """Take the optimizer steps ``start`` to ``stop - 1``; no number leaves the device."""
        order = self.buckets[0].order
        is_recorded = self._graphs is not None and can_record(self.optimizer, schedule.name)
        if self._rates is None:
            self._rates = LearningRates(self.optimizer, as_tensor=is_recorded and schedule.name != "constant")
        for step in range(start, stop):
            if schedule.name != "constant":
                self._rates.scale(schedule.factor(step))
            epoch, index = divmod(step, order.steps_per_epoch)
            if epoch != self._epoch and not order.is_full:
                self._shuffle(epoch)
            batches = [bucket.batch(index) for bucket in self.buckets]
            if self._graphs is not None and is_recorded:
                self._graphs.take(self._take_step, batches, self.optimizer)
            else:
                self._take_step(batches)

    def _take_step(self, batches: Sequence[tuple[Tensor, Tensor]]) -> None:
        for bucket, batch in zip(self.buckets, batches, strict=True):
            bucket.compute_gradients(*batch)
        self.optimizer.step()
        for bucket in self.buckets:
            for parameter, mask in bucket.masks:
                parameter.mul_(mask)

    def forget_moments(self) -> None:
        """Let the optimizer go on as if it had not taken a step."""
        self.optimizer.state.clear()
        if self._graphs:
            self._graphs.forget()

    def take_masks(self) -> None:
        """Take over the masks that the networks now have."""
        for bucket in self.buckets:
            bucket.take_masks()
        if self._graphs:
            self._graphs.forget()

    def evaluate(self, *, is_log_point: bool) -> dict[Trainee, dict[str, float]]:
        """Return each network's training loss, at a log point all metrics: one transfer from the device."""
        names: list[str] = []
        columns: list[list[Tensor]] = []
        for bucket in self.buckets:
            values = bucket.evaluate("train")
            if is_log_point:
                values |= bucket.evaluate("test")
                values["weights/norm"] = bucket.weight_norms()
            names = list(values)
            columns.append(list(values.values()))
        table = torch.cat([torch.stack(column) for column in columns], dim=1).T.tolist()
        return {
            trainee: dict(zip(names, row, strict=True))
            for trainee, row in zip(self.trainees, table, strict=True)
        }

    def state_of(self, trainee: Trainee) -> OptimizerState:
        """Return a copy of what the optimizer remembers of one network's parameters, by name."""
        own: OptimizerState = {}
        bucket = next(bucket for bucket in self.buckets if trainee in bucket.trainees)
        position = bucket.trainees.index(trainee)
        for part in self._parts:
            if part.bucket is bucket and part.where.start <= position < part.where.stop:
                own[part.name] = {
                    # a number is a count of steps, the same for all
                    key: (part.own_view(position, value) if value.ndim else value).clone()
                    for key, value in self.optimizer.state.get(part.tensor, {}).items()
                    if isinstance(value, Tensor)
                }
        return own

    def _make_optimizer(self) -> torch.optim.Optimizer:
        name = str(self.trainees[0].optimizer_settings["name"])
        groups: dict[str, dict[str, Any]] = {}
        for bucket in self.buckets:
            factors = [learning_rate_factors(trainee.network, name) for trainee in bucket.trainees]
            for parameter_name, parameter in bucket.stack.parameters.items():
                settings = [
                    _settings(trainee, factor.get(parameter_name, 1.0))
                    for trainee, factor in zip(bucket.trainees, factors, strict=True)
                ]
                start = 0
                for key, same in groupby(settings, key=json.dumps):
                    alike = list(same)
                    where = slice(start, start + len(alike))
                    is_whole = len(alike) == len(settings)
                    part: Tensor = parameter
                    if not is_whole:
                        assert parameter.grad is not None
                        part = parameter.detach()[where]
                        part.grad = parameter.grad[where]
                    self._parts.append(_Part(bucket, parameter_name, where, part))
                    groups.setdefault(key, {"params": [], **alike[0]})["params"].append(part)
                    start = where.stop
        return optimizer_over(list(groups.values()), name)

    def _set_states(self, states: Mapping[Trainee, OptimizerState]) -> None:
        for part in self._parts:
            owns = [states[trainee].get(part.name, {}) for trainee in part.bucket.trainees[part.where]]
            for key, first in owns[0].items():
                value = torch.zeros_like(part.tensor) if first.ndim else first.clone()
                if value.ndim:
                    for position, own in enumerate(owns, part.where.start):
                        part.own_view(position, value).copy_(own[key])
                self.optimizer.state[part.tensor][key] = value

    def _shuffle(self, epoch: int) -> None:
        orders = {trainee.order.seed: trainee.order for trainee in self.trainees}
        permutations = {seed: order.permutation(epoch) for seed, order in orders.items()}
        for bucket in self.buckets:
            bucket.shuffle(permutations)
        self._epoch = epoch


def _settings(trainee: Trainee, factor: float) -> dict[str, Any]:
    own = trainee.optimizer_settings
    return group_settings(own["name"], own["lr"] * factor, own["momentum"], own["betas"], own["weight_decay"])
