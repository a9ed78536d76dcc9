"""What every measuring callback shares: one schedule, one way to log, no trace left in the training."""

import contextlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from torch import nn

from dlexp.callbacks.settings import require_count
from dlexp.seeding import make_generator
from dlexp.train.member import Member, evaluation_mode
from dlexp.train.plan import Plan, log_spaced_steps

log = logging.getLogger(__name__)


class MeasureCallback(Callback, ABC):
    """Measures the network at chosen steps; subclasses say what (:meth:`measure`) and draw at the end.

    The network is measured in evaluation mode; its weights, gradients, modes and the optimizer stay as they
    are. Seconds taken in all are logged as ``seconds/<name>``. A diverged network is not measured.

    Args:
        at_start: measure the initial network.
        at_end: measure the trained network, wherever training stops.
        every_n_steps, every_n_epochs: measure after each so many optimizer steps, passes over the data.
        log_spaced: measure at so many log-spaced steps in each factor of ten.
        seed: of the callback's own random stream (probes, directions), which begins anew at each measurement,
            so that a value does not depend on how often was measured before.
        figures: draw them at the end; arrays are kept in any case.

    Raises ``ValueError`` for an interval below 1.
    """

    name: str
    changes_network = False  # one that does is called after those that measure the network as it was trained

    def __init__(
        self,
        *,
        at_start: bool = True,
        at_end: bool = True,
        every_n_steps: int | None = None,
        every_n_epochs: int | None = None,
        log_spaced: int | None = None,
        seed: int = 0,
        figures: bool = True,
    ) -> None:
        intervals = {
            "every_n_steps": every_n_steps,
            "every_n_epochs": every_n_epochs,
            "log_spaced": log_spaced,
        }
        for key, value in intervals.items():
            require_count(key, value, null="never")
        self.at_start, self.at_end = at_start, at_end
        self.every_n_steps, self.every_n_epochs, self.log_spaced = every_n_steps, every_n_epochs, log_spaced
        self.seed = seed
        self.figures = figures
        self.seconds = 0.0
        self._due: frozenset[int] = frozenset()
        self._measured_step: int | None = None

    def find_problems(self, config: Mapping[str, Any], plan: Plan) -> list[str]:
        """Return what else in a job's configuration this callback cannot work with, a sentence each."""
        return []

    @abstractmethod
    def measure(self, module: Member) -> Mapping[str, float]:
        """Return metrics of the network as it is now, by name; gradients are enabled."""

    def finish(self, module: Member) -> None:
        """Keep arrays and draw figures when training is over (``module.recorder``)."""

    def due_steps(self, total_steps: int, steps_per_epoch: int) -> frozenset[int]:
        """Return the optimizer steps after which the network is measured, the end left out."""
        due = {0} if self.at_start else set()
        for interval in (self.every_n_steps, self.every_n_epochs and self.every_n_epochs * steps_per_epoch):
            if interval:
                due.update(range(interval, total_steps + 1, interval))
        if self.log_spaced:
            due.update(step for step in log_spaced_steps(total_steps, self.log_spaced) if step > 0)
        return frozenset(due)

    def generator(self) -> torch.Generator:
        """Return the callback's random stream, from its beginning."""
        return make_generator(f"callbacks/{self.name}", self.seed)

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Measure the initial network if asked to."""
        self.seconds = 0.0
        self._measured_step = None
        self._due = self.due_steps(module.plan.total_steps, module.plan.steps_per_epoch)
        self.begin(module)
        if 0 in self._due:
            self._measure_and_record(module)

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Measure if this step is due."""
        if module.step in self._due and module.step != self._measured_step:
            self._measure_and_record(module)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        """Measure the trained network if asked to, and finish."""
        if module.outcome == "diverged":
            return
        if self.at_end and self._measured_step != module.step:
            self._measure_and_record(module)
        with self._timed(), evaluation_mode(module.network):
            self.finish(module)
        module.record({f"seconds/{self.name}": self.seconds})
        log.info("callback %s took %.2f s", self.name, self.seconds)

    def begin(self, module: Member) -> None:
        """Prepare before anything is measured (a copy of the initial network, say)."""

    def _measure_and_record(self, module: Member) -> None:
        if module.outcome == "diverged" or not is_finite(module.network):
            return  # it may have diverged since the loss was last looked at
        with self._timed(), evaluation_mode(module.network):
            metrics = self.measure(module)
        module.record(metrics)
        self._measured_step = module.step

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - start


def is_finite(network: nn.Module) -> bool:
    """Whether every parameter of a network is finite."""
    return bool(torch.stack([p.detach().isfinite().all() for p in network.parameters()]).all())
