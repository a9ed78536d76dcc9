"""How high the loss rises between a network in training and a partner: along lines and a trained curve."""

import copy
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlexp.callbacks.base import MeasureCallback
from dlexp.callbacks.settings import require_count, require_positive
from dlexp.measures.chain import require_chain
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
from dlexp.seeding import derive_seed
from dlexp.train.member import Companion, Member, redrawn
from dlexp.train.plan import Plan

log = logging.getLogger(__name__)

PARTNERS = ("initialization", "checkpoint", "twin")
PRUNING = "dlexp.callbacks.pruning.Pruning"


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

    Arrays: ``barrier/steps`` (T,), ``barrier/positions`` (points,), and the losses along the paths,
    ``barrier/<path>_losses`` and ``barrier/test_<path>_losses``, (T, points) for the lines and (points,) for
    the curve. Figure: ``barrier``.

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

    Raises ``ValueError`` for settings that are not allowed; at the start of training for a partner of another
    architecture.
    """

    name = "barrier"

    def __init__(
        self,
        *,
        partner: str = "twin",
        checkpoint: str | None = None,
        partner_seed: int | None = None,
        split_step: int | None = None,
        order_seed: int | None = None,
        matching: bool = True,
        curve: bool = True,
        curve_steps: int = 2000,
        curve_learning_rate: float = 0.005,
        curve_batch_size: int | None = None,
        points: int = 25,
        **schedule: Any,
    ) -> None:
        super().__init__(**schedule)
        if partner not in PARTNERS:
            raise ValueError(f"partner={partner} is not allowed: it must be one of {', '.join(PARTNERS)}")
        twin_settings = {"partner_seed": partner_seed, "split_step": split_step, "order_seed": order_seed}
        for key, value in twin_settings.items():
            require_count(key, value, minimum=0, null="the default")
            if value is not None and partner != "twin":
                raise ValueError(f"{key}={value} with partner={partner} is not allowed: only a twin has it")
        if split_step is not None and partner_seed is not None:
            raise ValueError(
                f"partner_seed={partner_seed} with split_step={split_step} is not allowed: a twin that "
                "splits off has the network's own initialisation"
            )
        if (checkpoint is None) == (partner == "checkpoint"):
            raise ValueError(
                f"checkpoint={checkpoint} with partner={partner} is not allowed: "
                "partner=checkpoint needs the path of a last.ckpt, and nothing else takes one"
            )
        if checkpoint is not None and not Path(checkpoint).is_file():
            raise ValueError(f"checkpoint={checkpoint} is not allowed: there is no such file")
        require_count("curve_steps", curve_steps)
        require_positive("curve_learning_rate", curve_learning_rate)
        require_count("curve_batch_size", curve_batch_size, null="the whole training set")
        require_count("points", points, minimum=3)
        self.partner, self.checkpoint = partner, checkpoint
        self.partner_seed, self.split_step, self.order_seed = partner_seed, split_step, order_seed
        self.matching, self.curve = matching, curve
        self.curve_steps, self.curve_learning_rate = curve_steps, curve_learning_rate
        self.curve_batch_size = curve_batch_size
        self.points = points

    def find_problems(self, config: Mapping[str, Any], plan: Plan) -> list[str]:
        """Return what would make the twin's training another than the network's, or impossible."""
        problems = []
        n_train = config["data"]["n_train"]
        if self.curve_batch_size is not None and self.curve_batch_size > n_train:
            problems.append(
                f"callbacks.barrier.curve_batch_size={self.curve_batch_size} is not allowed: it must be at "
                f"most data.n_train={n_train}."
            )
        if self.partner != "twin":
            return problems
        if any(settings.get("_target_") == PRUNING for settings in config["callbacks"].values()):
            problems.append("callbacks.barrier.partner=twin is not allowed beside the callback pruning.")
        if self.split_step is not None:
            if self.split_step >= plan.total_steps:
                problems.append(
                    f"callbacks.barrier.split_step={self.split_step} is not allowed: it must be below the "
                    f"number of optimizer steps, {plan.total_steps}."
                )
            if config["data"]["batch_size"] == "full":
                problems.append(
                    f"callbacks.barrier.split_step={self.split_step} with data.batch_size=full is not "
                    "allowed: without batches in another order the twin stays the same network."
                )
        return problems

    def due_steps(self, total_steps: int, steps_per_epoch: int) -> frozenset[int]:
        """Return the steps of the schedule, and that at which the twin splits off."""
        split = frozenset() if self.split_step is None else frozenset({self.split_step})
        return super().due_steps(total_steps, steps_per_epoch) | split

    def begin(self, module: Member) -> None:
        """Make the partner, unless it splits off later."""
        self._steps: list[int] = []
        self._losses: dict[str, list[Tensor]] = {}
        self._partner: nn.Module | None = None
        self._twin: Companion | None = None
        try:
            if self.matching:
                require_chain(module.network, "the network")
            if self.partner == "twin":
                if self.split_step is None:
                    network = redrawn(module, self._partner_seed())
                    self._twin = module.take_along(network, order_seed=self.order_seed)
                    self._partner = self._twin.network
            else:
                self._partner = copy.deepcopy(module.network)
                if self.checkpoint is not None:
                    load_checkpoint(self._partner, self.checkpoint)
            if self._partner is not None:
                end_points(module.network, self._partner)
        except ValueError as error:
            raise ValueError(f"callbacks.barrier with partner={self.partner}: {error}") from None

    def measure(self, module: Member) -> Mapping[str, float]:
        """Return the barriers on the straight lines to the partner as it is now."""
        if self.split_step is not None:
            if module.step < self.split_step:
                return {}
            if self._twin is None:
                network = copy.deepcopy(module.network)
                self._twin = module.take_along(network, order_seed=self._order_seed(), split=True)
                self._partner = self._twin.network
        assert self._partner is not None
        self._ends = end_points(module.network, self._partner)
        self._steps.append(module.step)
        metrics = self._measure_path(module, "linear", self._ends)
        if self.matching:
            metrics |= self._measure_path(module, "matched", self._matched_ends(module.network))
        if self._twin is not None:
            metrics["barrier/twin_train_loss"] = float(self._losses["linear"][-1][-1])
        return metrics

    def finish(self, module: Member) -> None:
        """Train the curve; keep the losses along all paths; draw them."""
        if not self._steps:
            return
        if self.curve and self.at_end and bool(self._ends.isfinite().all()):
            module.record(self._measure_curve(module))
        arrays = {
            name: torch.stack(losses).numpy() if not name.endswith("curve") else losses[0].numpy()
            for name, losses in self._losses.items()
        }
        positions = np.arange(self.points) / (self.points - 1)
        module.recorder.record_array("barrier/steps", self._steps)
        module.recorder.record_array("barrier/positions", positions)
        for name, array in arrays.items():
            module.recorder.record_array(f"barrier/{name}_losses", array)
        if not self.figures:
            return
        partner = {"initialization": "initial network", "checkpoint": "stored network"}.get(self.partner)
        if partner is None:
            partner = "twin" if self.split_step is None else f"twin split off at step {self.split_step}"
        figure = draw_barrier(self._steps, positions, arrays, partner=partner)
        module.recorder.record_figure("barrier", figure, step=module.step)

    def _measure_path(self, module: Member, path: str, knots: Tensor | BezierCurve) -> dict[str, float]:
        metrics = {}
        data = module.tensors
        for prefix, x, y in (("", data.x_train, data.y_train), ("test_", data.x_test, data.y_test)):
            losses = path_losses(module.network, module.loss, x, y, knots, points=self.points).cpu()
            self._losses.setdefault(f"{prefix}{path}", []).append(losses)
            for definition in BARRIER_DEFINITIONS:
                suffix = "" if definition == "linear" else f"_{definition}"
                metrics[f"barrier/{prefix}{path}{suffix}"] = float(barrier(losses, definition))
        return metrics

    def _matched_ends(self, network: nn.Module) -> Tensor:
        assert self._partner is not None
        if not bool(self._ends.isfinite().all()):  # one of the two has diverged: no unit matches another
            return torch.full_like(self._ends, math.nan)
        return end_points(network, match_permutation(network, self._partner).model)

    def _measure_curve(self, module: Member) -> dict[str, float]:
        try:
            curve = fit_bezier(
                module.network,
                module.loss,
                module.tensors.x_train,
                module.tensors.y_train,
                self._ends,
                generator=self.generator(),
                steps=self.curve_steps,
                learning_rate=self.curve_learning_rate,
                batch_size=self.curve_batch_size,
            )
        except FloatingPointError as error:
            log.warning("callback barrier: no curve: %s", error)
            return {}
        return self._measure_path(module, "curve", curve)

    def _partner_seed(self) -> int:
        if self.partner_seed is not None:
            return self.partner_seed
        return derive_seed("callbacks/barrier/partner", self.seed)

    def _order_seed(self) -> int:
        return (
            derive_seed("callbacks/barrier/order", self.seed) if self.order_seed is None else self.order_seed
        )


def load_checkpoint(network: nn.Module, path: str) -> None:
    """Load the weights of a run's ``last.ckpt`` into a network of the same architecture.

    Raises ``ValueError`` for a file that is no such checkpoint, or of another architecture.
    """
    try:
        stored = torch.load(path, map_location="cpu")["state_dict"]
        network.load_state_dict({name.removeprefix("network."): value for name, value in stored.items()})
    except Exception as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"checkpoint={path} does not hold such a network: {reason}") from None
