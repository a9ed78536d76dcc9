"""Iterative magnitude pruning with rewinding inside one fit: lottery tickets and their controls."""

import copy
import logging
from collections.abc import Mapping
from typing import Any

from pytorch_lightning import Trainer
from torch import Tensor, nn

from dlexp.callbacks.base import MeasureCallback
from dlexp.callbacks.settings import require_count
from dlexp.measures.functional import trainable_parameters
from dlexp.measures.pruning import (
    SCOPES,
    Masks,
    dense_masks,
    density,
    magnitude_masks,
    random_masks,
    random_signs,
)
from dlexp.plots.runs.pruning import draw_pruning
from dlexp.seeding import derive_seed
from dlexp.train.member import Companion, Member, redrawn
from dlexp.train.plan import Plan, Schedule

log = logging.getLogger(__name__)

CONTROLS = ("none", "random", "reinitialize", "random_signs")


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
    network. Arrays: ``pruning/steps`` and one of each metric (cycles,), and the last masks,
    ``mask/<parameter>``. Figure: ``pruning``.

    Args:
        rounds: how often is pruned.
        rate: share of the remaining weights pruned each time.
        scope: ``layer``: that share of each weight tensor; ``global``: by one threshold for all.
        readout_rate: share of the last layer's weights; None for half of ``rate``; by layer only.
        rewind_step: k; 0 is the initialisation.
        control: ``none`` or one of the above.
        seed: of the control's random draws.
        figures: draw the loss against the density at the end.

    Raises ``ValueError`` for settings that are not allowed; before training for a number of steps that
    cannot be divided, and if training may stop before a cycle ends.
    """

    name = "pruning"
    changes_network = True

    def __init__(
        self,
        *,
        rounds: int = 4,
        rate: float = 0.5,
        scope: str = "layer",
        readout_rate: float | None = None,
        rewind_step: int = 0,
        control: str = "none",
        seed: int = 0,
        figures: bool = True,
    ) -> None:
        super().__init__(at_start=False, seed=seed, figures=figures)
        require_count("rounds", rounds)
        require_count("rewind_step", rewind_step, minimum=0)
        for key, value, allowed in (("scope", scope, SCOPES), ("control", control, CONTROLS)):
            if value not in allowed:
                raise ValueError(f"{key}={value} is not allowed: it must be one of {', '.join(allowed)}")
        _require_share("rate", rate)
        if readout_rate is not None:
            _require_share("readout_rate", readout_rate, lowest_allowed=True)
            if scope == "global":
                raise ValueError(
                    f"readout_rate={readout_rate} with scope=global is not allowed: one threshold for all "
                    "layers has no rate by layer"
                )
        if control == "reinitialize" and rewind_step > 0:
            raise ValueError(
                f"control=reinitialize with rewind_step={rewind_step} is not allowed: "
                "a new initialisation has no weights of that step"
            )
        self.rounds, self.rate, self.scope, self.readout_rate = rounds, rate, scope, readout_rate
        self.rewind_step, self.control = rewind_step, control
        counts_are_known = control == "random" and scope == "layer"
        self._needs_ticket = control != "none" and not counts_are_known

    def find_problems(self, config: Mapping[str, Any], plan: Plan) -> list[str]:
        """Return what keeps the run from being divided into cycles that all end where they should."""
        problems = []
        try:
            self._cycle_length(plan.total_steps)
        except ValueError as error:
            problems.append(f"{error}.")
        for key in ("train_loss", "patience"):
            value = config["training"]["stopping"][key]
            if value is not None:
                problems.append(
                    f"training.stopping.{key}={value} is not allowed with callbacks.pruning: "
                    "it must be null, as no cycle may end early."
                )
        return problems

    def reschedule(self, schedule: Schedule, plan: Plan) -> Schedule:
        """Return the schedule of a run in cycles: each goes from the step to rewind to, to the same step."""
        period = self.rewind_step + self._cycle_length(plan.total_steps)
        return Schedule(schedule.name, period, self.rewind_step)

    def due_steps(self, total_steps: int, steps_per_epoch: int) -> frozenset[int]:
        """Return the ends of the cycles, and the step to rewind to."""
        return frozenset({self.rewind_step, *self._cycle_ends(total_steps)}) - {0}

    def begin(self, module: Member) -> None:
        """Divide the run into cycles; keep the initial weights if they are those to rewind to."""
        total_steps = module.plan.total_steps
        try:
            self._masks: Masks = dense_masks(module.network)
        except ValueError as error:
            raise ValueError(f"callbacks.pruning: {error}") from None
        self._ends = self._cycle_ends(total_steps)
        self._generator = self.generator()
        self._ticket: Companion | None = None
        self._rewind_weights = _copy(module.network) if self.rewind_step == 0 else {}
        self._steps: list[int] = []
        self._values: dict[str, list[float]] = {}

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Keep the weights to rewind to; at the end of a cycle measure, prune and rewind."""
        if module.step == self.rewind_step and not self._rewind_weights:
            self._rewind_weights = _copy(module.network)
        if module.step not in self._ends or module.step == self._measured_step:
            return
        self._measure_and_record(module)
        if module.step < self._ends[-1] and module.outcome != "diverged":
            with self._timed():
                self._begin_next_cycle(module)

    def measure(self, module: Member) -> Mapping[str, float]:
        """Return the density and the test loss of the network at the end of a cycle."""
        metrics = {"pruning/density": density(module.masks) if module.masks else 1.0}
        for name, value in module.evaluate("test").items():
            metrics[f"pruning/{name.replace('/', '_')}"] = float(value)
        cycle = len(self._steps)
        self._steps.append(module.step)
        for name, number in metrics.items():
            self._values.setdefault(name, []).append(number)
        return metrics | {f"{name}/round_{cycle}": number for name, number in metrics.items()}

    def finish(self, module: Member) -> None:
        """Keep the values of all cycles and the masks; draw the loss against the density."""
        if module.step < self._ends[-1]:
            if module.outcome == "converged":
                raise ValueError(
                    f"training converged at step {module.step}, before the last of {len(self._ends)} cycles "
                    "of callbacks.pruning ended: training.stopping.train_loss and patience must be null"
                )
            log.warning("callback pruning: training ended at step %d of %d", module.step, self._ends[-1])
        record = module.recorder.record_array
        record("pruning/steps", self._steps)
        for name, values in self._values.items():
            record(name, values)
        for name, mask in module.masks.items():
            record(f"mask/{name}", mask.cpu().numpy())
        if self.figures:
            figure = draw_pruning(self._values, control=self.control)
            module.recorder.record_figure("pruning", figure, step=module.step)

    def _begin_next_cycle(self, module: Member) -> None:
        ticket = module.network if self._ticket is None else self._ticket.network
        if not all(bool(p.isfinite().all()) for p in ticket.parameters()):
            return  # diverged, which the next look at the loss will find
        self._masks = magnitude_masks(
            ticket, self.rate, scope=self.scope, previous=self._masks, readout_rate=self.readout_rate
        )
        if self._needs_ticket:
            if self._ticket is None:
                self._ticket = module.take_along(copy.deepcopy(module.network), order_seed=None)
            self._ticket.restart(self._rewind_weights, self._masks)
        weights, masks = self._rewind_weights, self._masks
        match self.control:
            case "random":
                masks = random_masks(self._masks, generator=self._generator)
            case "reinitialize":
                seed = derive_seed(f"callbacks/pruning/reinitialize/{len(self._steps)}", self.seed)
                drawn = trainable_parameters(redrawn(module, seed))
                weights = {name: drawn.get(name, value) for name, value in weights.items()}
            case "random_signs":
                weights = random_signs(weights, self._masks, generator=self._generator)
        module.restart(weights, masks)

    def _cycle_length(self, total_steps: int) -> int:
        """Return T - k. Raises ``ValueError`` if the steps cannot be divided so."""
        length, rest = divmod(total_steps - self.rewind_step, self.rounds + 1)
        if rest or length < 1:
            possible = self.rewind_step + (self.rounds + 1) * max(1, length)
            raise ValueError(
                f"callbacks.pruning.rounds={self.rounds} with rewind_step={self.rewind_step} and "
                f"{total_steps} optimizer steps is not allowed: the steps after {self.rewind_step} must "
                f"divide into {self.rounds + 1} equal cycles, as those of {possible} steps do"
            )
        return length

    def _cycle_ends(self, total_steps: int) -> list[int]:
        length = max(1, (total_steps - self.rewind_step) // (self.rounds + 1))
        return [self.rewind_step + cycle * length for cycle in range(1, self.rounds + 2)]


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _require_share(key: str, value: Any, *, lowest_allowed: bool = False) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 <= value < 1 and (value > 0 or lowest_allowed)):
        lowest = "at least 0" if lowest_allowed else "above 0"
        raise ValueError(f"{key}={value} is not allowed: it must be {lowest} and below 1")
