"""Iterative magnitude pruning with rewinding inside one fit: lottery tickets and their controls."""

import copy
import logging
from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn

from dlexp.callbacks.base import MeasureCallback
from dlexp.config.callbacks import PruningSettings
from dlexp.measures.functional import trainable_parameters
from dlexp.measures.pruning import Masks, dense_masks, density, magnitude_masks, random_masks, random_signs
from dlexp.plots.runs.pruning import draw_pruning
from dlexp.seeding import derive_seed
from dlexp.train.member import Companion, Member
from dlexp.train.network import redrawn
from dlexp.train.plan import Plan, Schedule

log = logging.getLogger(__name__)


class Pruning(MeasureCallback):
    """Trains, prunes the smallest weights, rewinds the others, and trains again, ``rounds`` times.

    Iterative magnitude pruning (Frankle & Carbin 2019), with rewinding to step k (Frankle et al. 2020,
    Algorithm 2). The run is divided into ``rounds + 1`` cycles of training, each to the same step T of the
    learning-rate schedule: the first, of the dense network, from step 0, the others from step k =
    ``rewind_step``; so the run has k + (rounds + 1) (T - k) steps. Batches go on as they come. Between two
    cycles the share ``rate`` of the remaining weights, those of smallest magnitude, is pruned for good, the
    others return to their values at step k, and the optimizer forgets its moments. Biases are kept.

    With a ``control`` the sparse cycles train what the ticket, the network so found, is compared with; the
    first cycle is the same for all:

    - ``random``: as many weights of each layer as the ticket keeps, at random places;
    - ``reinitialize``: the ticket's mask on another initialisation, a new one in each cycle;
    - ``random_signs``: the ticket's mask on its weights at step k with random signs.

    Where the control's masks depend on the ticket's training (all but ``random`` by layer), the ticket is
    trained beside it, by the same batches; its numbers are those of a run without a control.

    Metrics at the end of each cycle, before pruning: ``pruning/density``, the share of weights kept, and
    ``pruning/test_loss`` (for classes ``pruning/test_error`` too), and each of them as
    ``<metric>/round_<k>``, k times pruned: a run's result so holds all densities, from round 0, the dense
    network. Arrays: one of each metric (cycles,), and the last masks, ``mask/<parameter>``.
    Figure: ``pruning``.

    Args:
        rounds: how often is pruned.
        rate: share of the remaining weights pruned each time.
        scope: ``layer``: that share of each weight tensor; ``global``: by one threshold for all.
        readout_rate: share of the last layer's weights; None for half of ``rate``; by layer only.
        rewind_step: k; 0 is the initialisation.
        control: ``none`` or one of the above.
        seed: of the control's random draws.
        figures: draw the loss against the density at the end.

    Raises ``ValueError`` if training stops before the last cycle ends, and under a Trainer of one's own.
    """

    name = "pruning"
    settings_model = PruningSettings
    settings: PruningSettings
    changes_network = True

    def reschedule(self, schedule: Schedule, plan: Plan) -> Schedule:
        """Return the schedule of a run in cycles: each goes from the step to rewind to, to the same step."""
        period = self.settings.rewind_step + self._cycle_length(plan.total_steps)
        return Schedule(schedule.name, period, self.settings.rewind_step)

    def due_steps(self, total_steps: int, steps_per_epoch: int) -> frozenset[int]:
        """Return the ends of the cycles, and the step to rewind to."""
        return frozenset({self.settings.rewind_step, *self._cycle_ends(total_steps)}) - {0}

    def on_train_start(self, trainer: Trainer, member: Any) -> None:
        """Divide the run into cycles."""
        self.require_own_training(trainer, member, "gives each cycle its own learning-rate schedule")
        super().on_train_start(trainer, member)

    def begin(self, member: Member) -> None:
        """Keep the initial weights if they are those to rewind to."""
        self._masks: Masks = dense_masks(member.network)
        self._ends = self._cycle_ends(member.plan.total_steps)
        self._generator = self.generator()
        self._ticket: Companion | None = None
        self._rewind_weights = _copy(member.network) if self.settings.rewind_step == 0 else {}

    def try_on(self, trial: Member) -> None:
        """Begin, with a ticket beside the network if there is to be one."""
        super().try_on(trial)
        if self._needs_ticket():
            trial.take_along(copy.deepcopy(trial.network), order_seed=None)

    def on_train_batch_end(
        self, trainer: Trainer, member: Any, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Keep the weights to rewind to; at the end of a cycle measure, prune and rewind."""
        if member.step == self.settings.rewind_step and not self._rewind_weights:
            self._rewind_weights = _copy(member.network)
        if member.step not in self._ends or member.step == self._measured_step:
            return
        self._measure_and_record(member)
        if member.step < self._ends[-1] and member.outcome != "diverged":
            with self._measuring(member):
                self._begin_next_cycle(member)

    def measure(self, member: Member) -> Mapping[str, float]:
        """Return the density and the test loss of the network at the end of a cycle."""
        metrics = {"pruning/density": density(member.masks) if member.masks else 1.0}
        for name, value in member.evaluate("test").items():
            metrics[f"pruning/{name.replace('/', '_')}"] = float(value)
        cycle = len(member.recorder.series("pruning/density")[0])
        return metrics | {f"{name}/round_{cycle}": number for name, number in metrics.items()}

    def finish(self, member: Member) -> None:
        """Keep the values of all cycles and the masks; draw the loss against the density."""
        if member.step < self._ends[-1]:
            if member.outcome == "converged":
                raise ValueError(
                    f"training converged at step {member.step}, before the last of {len(self._ends)} cycles "
                    "of callbacks.pruning ended: training.stopping.train_loss and patience must be null"
                )
            log.warning("callback pruning: training ended at step %d of %d", member.step, self._ends[-1])
        names = [f"pruning/{name}" for name in ("density", "test_loss", "test_error")]
        recorded = {name: member.recorder.series(name)[1] for name in names}
        values = {name: series for name, series in recorded.items() if series}
        for name, series in values.items():
            member.recorder.record_array(name, series)
        for name, mask in member.masks.items():
            member.recorder.record_array(f"mask/{name}", mask.cpu().numpy())
        self.draw(member, "pruning", draw_pruning, values, control=self.settings.control)

    @property
    def _measures_end(self) -> bool:
        return True

    def _begin_next_cycle(self, member: Member) -> None:
        ticket = member.network if self._ticket is None else self._ticket.network
        if not all(bool(p.isfinite().all()) for p in ticket.parameters()):
            return  # diverged, which the next look at the loss will find
        how = self.settings
        self._masks = magnitude_masks(
            ticket, how.rate, scope=how.scope, previous=self._masks, readout_rate=how.readout_rate
        )
        if self._needs_ticket():
            if self._ticket is None:
                self._ticket = member.take_along(copy.deepcopy(member.network), order_seed=None)
            self._ticket.restart(self._rewind_weights, self._masks)
        cycle = self._ends.index(member.step) + 1
        start = self._rewind_weights, self._masks
        member.restart(*controlled(how, member, *start, cycle=cycle, generator=self._generator))

    def _needs_ticket(self) -> bool:
        """Whether the control's masks depend on how the ticket trains."""
        counts_are_known = self.settings.control == "random" and self.settings.scope == "layer"
        return self.settings.control != "none" and not counts_are_known

    def _cycle_length(self, total_steps: int) -> int:
        return max(1, (total_steps - self.settings.rewind_step) // (self.settings.rounds + 1))

    def _cycle_ends(self, total_steps: int) -> list[int]:
        length, first = self._cycle_length(total_steps), self.settings.rewind_step
        return [first + cycle * length for cycle in range(1, self.settings.rounds + 2)]


def controlled(
    settings: PruningSettings,
    member: Member,
    weights: Mapping[str, Tensor],
    masks: Masks,
    *,
    cycle: int,
    generator: torch.Generator,
) -> tuple[Mapping[str, Tensor], Masks]:
    """Return the weights and masks that a cycle of training begins with, under ``settings.control``.

    Args:
        settings: of the callback pruning.
        member: what is trained.
        weights, masks: those of the ticket, with which the cycle begins without a control.
        cycle: counted from 1, the first after a pruning.
        generator: of random masks and signs.
    """
    match settings.control:
        case "random":
            return weights, random_masks(masks, generator=generator)
        case "reinitialize":
            seed = derive_seed(f"callbacks/pruning/reinitialize/{cycle}", settings.seed)
            drawn = trainable_parameters(redrawn(member.network_settings, member.network, seed))
            return {name: drawn.get(name, value) for name, value in weights.items()}, masks
        case "random_signs":
            return random_signs(weights, masks, generator=generator), masks
        case _:
            return weights, masks


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
