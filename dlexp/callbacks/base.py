"""What every measuring callback shares: one schedule, one way to record, no trace left in the training."""

import contextlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn

from dlexp.callbacks.configured import ConfiguredCallback
from dlexp.config.schedule import CallbackSettings, Schedule
from dlexp.measures.functional import Loss
from dlexp.seeding import make_generator
from dlexp.train.member import Member
from dlexp.train.network import evaluation_mode
from dlexp.train.plan import log_spaced_steps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)


class MeasureCallback(ConfiguredCallback, ABC):
    """Measures the network at chosen steps; subclasses say what (:meth:`measure`) and draw at the end.

    The network is measured in evaluation mode; its weights, gradients, modes and the optimizer stay as they
    are. Seconds taken in all are recorded as ``seconds/<name>``. A diverged network is not measured. What is
    not defined, or overflows, is recorded as it is: NaN or infinite.

    Args:
        at_start: measure the initial network.
        at_end: measure the trained network, wherever training stops.
        every_n_steps, every_n_epochs: measure after each so many optimizer steps, passes over the data.
        log_spaced: measure at so many log-spaced steps in each factor of ten.
        seed: of the callback's own random stream (probes, directions), which begins anew at each measurement,
            so that a value does not depend on how often was measured before.
        figures: draw them at the end; arrays are kept in any case.

    A measure of one's own needs a ``name`` and :meth:`measure`; settings beside these, a subclass of
    :class:`~dlexp.config.schedule.Schedule` as its ``settings_model``. What it keeps from one look to
    the next goes into attributes, as plain data, tensors or networks: a snapshot of its group holds these.
    """

    settings_model: ClassVar[type[CallbackSettings]] = Schedule

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._seconds = 0.0
        self._due: frozenset[int] = frozenset()
        self._measured_step: int | None = None

    @abstractmethod
    def measure(self, member: Member) -> Mapping[str, float]:
        """Return metrics of the network as it is now, by name; gradients are enabled."""

    def begin(self, member: Member) -> None:
        """Prepare before anything is measured (a copy of the initial network, say)."""

    def left_out(self, member: Member) -> Iterator[str]:
        """Yield ``metric: reason`` for each that is not measured of this network, for the log."""
        yield from ()

    def finish(self, member: Member) -> None:
        """Keep arrays and draw figures when training is over."""

    def draw(
        self, member: Member, name: str, function: "Callable[..., Figure]", *args: Any, **kw: Any
    ) -> None:
        """Keep the figure that a function returns, if figures are wanted."""
        if self.settings.figures:
            member.recorder.record_figure(name, function(*args, **kw), step=member.step)

    def try_on(self, trial: Member) -> None:
        """Begin; what only a measurement would tell is for subclasses to try."""
        self.begin(trial)

    def due_steps(self, total_steps: int, steps_per_epoch: int) -> frozenset[int]:
        """Return the optimizer steps after which the network is measured, the end left out."""
        when = self.settings
        due = {0} if when.at_start else set()
        for interval in (when.every_n_steps, when.every_n_epochs and when.every_n_epochs * steps_per_epoch):
            if interval:
                due.update(range(interval, total_steps + 1, interval))
        if when.log_spaced:
            due.update(step for step in log_spaced_steps(total_steps, when.log_spaced) if step > 0)
        return frozenset(due)

    def generator(self) -> torch.Generator:
        """Return the callback's random stream, from its beginning."""
        return make_generator(f"callbacks/{self.name}", self.settings.seed)

    def on_train_start(self, trainer: Trainer, member: Any) -> None:
        """Prepare, and measure the initial network if asked to."""
        self._seconds = 0.0
        self._measured_step = None
        self._due = self.due_steps(member.plan.total_steps, member.plan.steps_per_epoch)
        for line in self.left_out(member):
            log.info("not measured: %s", line)
        with self._measuring(member):
            self.begin(member)
        if 0 in self._due:
            self._measure_and_record(member)

    def on_train_batch_end(
        self, trainer: Trainer, member: Any, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Measure if this step is due."""
        if member.step in self._due and member.step != self._measured_step:
            self._measure_and_record(member)

    def on_train_end(self, trainer: Trainer, member: Any) -> None:
        """Measure the trained network if asked to, and finish."""
        if member.outcome == "diverged":
            return
        if self._measures_end and self._measured_step != member.step:
            self._measure_and_record(member)
        with self._measuring(member):
            self.finish(member)
        member.record({f"seconds/{self.name}": self._seconds})
        log.info("callback %s took %.2f s", self.name, self._seconds)

    @property
    def _measures_end(self) -> bool:
        return bool(self.settings.at_end)

    def _measure_and_record(self, member: Member) -> None:
        if member.outcome == "diverged" or not is_finite(member.network):
            return  # it may have diverged since the loss was last looked at
        with self._measuring(member):
            metrics = self.measure(member)
        member.record(metrics)
        self._measured_step = member.step

    @contextlib.contextmanager
    def _measuring(self, member: Member) -> Iterator[None]:
        """Have the network in evaluation mode, and count the time."""
        start = time.perf_counter()
        try:
            with evaluation_mode(member.network):
                yield
        finally:
            self._seconds += time.perf_counter() - start


def training_loss(member: Member, n_samples: int | None = None) -> tuple[nn.Module, Loss, Tensor, Tensor]:
    """Return what measures of a loss take: network, loss, and the first training rows, None for all."""
    rows = slice(n_samples)
    return member.network, member.loss, member.tensors.x_train[rows], member.tensors.y_train[rows]


def is_finite(network: nn.Module) -> bool:
    """Whether every parameter of a network is finite."""
    return bool(torch.stack([p.detach().isfinite().all() for p in network.parameters()]).all())
