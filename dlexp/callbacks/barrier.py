"""How high the loss rises between a network in training and a partner: along lines and a trained curve."""

import copy
import logging
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn

from dlexp.callbacks.base import MeasureCallback, training_loss
from dlexp.config.callbacks import BarrierSettings
from dlexp.measures.connectivity import (
    BARRIER_DEFINITIONS,
    BezierCurve,
    barrier,
    end_points,
    fit_bezier,
    match_permutation,
    path_losses,
)
from dlexp.plots.runs.barrier import draw_barrier
from dlexp.records.checkpoint import load_network
from dlexp.seeding import derive_seed
from dlexp.train.member import Member
from dlexp.train.network import redrawn

log = logging.getLogger(__name__)


class Barrier(MeasureCallback):
    """Measures the barriers between the network and a partner, on the training and the test loss.

    The partner is one of

    - ``initialization``: the network as it was before training;
    - ``checkpoint``: the network stored in a ``last.ckpt``;
    - ``twin``: a second network that is trained beside the first with the same data, loss, optimizer,
      schedule and number of steps. It starts from another initialisation (of seed ``partner_seed``, with the
      same batches unless ``order_seed`` is set), or, with ``split_step``, it is the network's own copy,
      weights and optimizer state, from that step on trained with another batch order: the instability
      analysis of Frankle et al. (2020).

    Metrics ``barrier/<path>`` in the definitions of
    :func:`~dlexp.measures.connectivity.barrier.barrier` (``barrier/<path>_max_end``,
    ``barrier/<path>_mean_end``), and ``barrier/test_<path>...`` on the test set. Paths: ``linear``, the
    straight line; ``matched``, the line to the partner with its hidden units permuted to match by weights;
    ``curve``, a quadratic Bezier curve trained between the two, at the end only. ``barrier/twin_train_loss``
    is the twin's. Before ``split_step`` nothing is measured.

    Arrays: ``barrier/positions`` (points,), and the losses along the paths, ``barrier/<path>_losses`` and
    ``barrier/test_<path>_losses``, (T, points) for the lines, T as ``barrier/linear`` was recorded, and
    (points,) for the curve. Figure: ``barrier``.

    Args:
        partner: see above.
        checkpoint: path of the stored partner.
        partner_seed: of the twin's initialisation, as ``model.seed``; None for one derived from ``seed``.
        split_step: when the twin splits off; None for a twin from another initialisation.
        order_seed: of the twin's batch order, as ``data.order_seed``; None: the network's own order for
            another initialisation, one derived from ``seed`` for a twin that splits off.
        matching: whether to measure ``matched``, for chains of linear layers and activations.
        curve: whether to measure ``curve``.
        curve_steps, curve_learning_rate, curve_batch_size: of its training by Adam; see
            :func:`~dlexp.measures.connectivity.curves.fit_bezier`.
        points: equally spaced on each path, both ends included.
        schedule: arguments of :class:`~dlexp.callbacks.base.MeasureCallback`.

    Raises ``ValueError`` at the start of training for a partner of another architecture.
    """

    name = "barrier"
    settings_model = BarrierSettings
    settings: BarrierSettings

    def due_steps(self, total_steps: int, steps_per_epoch: int) -> frozenset[int]:
        """Return the steps of the schedule, and that at which the twin splits off."""
        split = self.settings.split_step
        return super().due_steps(total_steps, steps_per_epoch) | (frozenset() if split is None else {split})

    def on_train_start(self, trainer: Trainer, member: Any) -> None:
        """Prepare, and measure the initial network if asked to."""
        if self.settings.partner == "twin":
            self.require_own_training(trainer, member, "trains a twin beside the network")
        super().on_train_start(trainer, member)

    def begin(self, member: Member) -> None:
        """Make the partner, unless it splits off later."""
        self._losses: dict[str, list[Tensor]] = {}
        self._partner: nn.Module | None = None
        if self.settings.partner == "twin":
            if self.settings.split_step is None:
                self._partner = redrawn(
                    member.network_settings,
                    member.network,
                    self._seed("partner", self.settings.partner_seed),
                )
                member.take_along(self._partner, order_seed=self.settings.order_seed)
        else:
            self._partner = copy.deepcopy(member.network)
            if self.settings.checkpoint is not None:
                load_network(self._partner, self.settings.checkpoint)

    def try_on(self, trial: Member) -> None:
        """Begin, match the network with itself if units are to be matched, and follow a short path."""
        super().try_on(trial)
        if self.settings.split_step is not None:
            trial.take_along(copy.deepcopy(trial.network), order_seed=None)
        ends = end_points(trial.network, trial.network if self._partner is None else self._partner)
        if self.settings.matching:
            match_permutation(trial.network, trial.network)
        path_losses(*training_loss(trial), ends, points=3)

    def measure(self, member: Member) -> Mapping[str, float]:
        """Return the barriers on the straight lines to the partner as it is now."""
        if self.settings.split_step is not None:
            if member.step < self.settings.split_step:
                return {}
            if self._partner is None:
                self._partner = copy.deepcopy(member.network)
                seed = self._seed("order", self.settings.order_seed)
                member.take_along(self._partner, order_seed=seed, split=True)
        assert self._partner is not None
        self._ends = end_points(member.network, self._partner)
        metrics = self._measure_path(member, "linear", self._ends)
        if self.settings.matching:
            metrics |= self._measure_path(
                member, "matched", self._matched_ends(member.network, self._partner)
            )
        if self.settings.partner == "twin":
            metrics["barrier/twin_train_loss"] = float(self._losses["linear"][-1][-1])
        return metrics

    def finish(self, member: Member) -> None:
        """Train the curve; keep the losses along all paths; draw them."""
        if not self._losses:
            return
        if self.settings.curve and self.settings.at_end:
            member.record(self._measure_path(member, "curve", self._curve(member)))
        arrays = {
            name: torch.stack(losses).numpy() if not name.endswith("curve") else losses[0].numpy()
            for name, losses in self._losses.items()
        }
        steps, _ = member.recorder.series("barrier/linear")
        positions = np.arange(self.settings.points) / (self.settings.points - 1)
        member.recorder.record_array("barrier/positions", positions)
        for name, array in arrays.items():
            member.recorder.record_array(f"barrier/{name}_losses", array)
        partner = {"initialization": "initial network", "checkpoint": "stored network"}.get(
            self.settings.partner, "twin"
        )
        if self.settings.split_step is not None:
            partner = f"twin split off at step {self.settings.split_step}"
        self.draw(member, "barrier", draw_barrier, steps, positions, arrays, partner=partner)

    def _measure_path(self, member: Member, path: str, knots: Tensor | BezierCurve) -> dict[str, float]:
        metrics = {}
        data = member.tensors
        for prefix, x, y in (("", data.x_train, data.y_train), ("test_", data.x_test, data.y_test)):
            losses = path_losses(member.network, member.loss, x, y, knots, points=self.settings.points).cpu()
            self._losses.setdefault(f"{prefix}{path}", []).append(losses)
            for definition in BARRIER_DEFINITIONS:
                suffix = "" if definition == "linear" else f"_{definition}"
                metrics[f"barrier/{prefix}{path}{suffix}"] = float(barrier(losses, definition))
        return metrics

    def _matched_ends(self, network: nn.Module, partner: nn.Module) -> Tensor:
        if not bool(self._ends.isfinite().all()):  # one of the two has diverged: no unit matches another
            return torch.full_like(self._ends, math.nan)
        return end_points(network, match_permutation(network, partner).model)

    def _curve(self, member: Member) -> Tensor | BezierCurve:
        """Return the trained curve, or points that are not numbers where there is none."""
        how = self.settings
        try:
            if not bool(self._ends.isfinite().all()):
                raise FloatingPointError("an end is not finite")
            return fit_bezier(
                *training_loss(member),
                self._ends,
                generator=self.generator(),
                steps=how.curve_steps,
                learning_rate=how.curve_learning_rate,
                batch_size=how.curve_batch_size,
            )
        except FloatingPointError as error:
            log.warning("callback barrier: no curve: %s", error)
            return torch.full_like(self._ends, math.nan)

    def _seed(self, of: str, given: int | None) -> int:
        return derive_seed(f"callbacks/barrier/{of}", self.settings.seed) if given is None else given
