"""Critical points near a training run: their index, their loss, and what random matrices would give."""

import copy
import logging
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dlexp.callbacks.base import MeasureCallback
from dlexp.callbacks.settings import require_count, require_positive
from dlexp.measures.functional import parameter_vector
from dlexp.measures.hessian import (
    FoundPoint,
    find_critical_point,
    goe_positive_definite_share,
    is_degenerate,
)
from dlexp.plots.runs.critical_points import draw_critical_points
from dlexp.train.member import Member
from dlexp.train.plan import Plan

log = logging.getLogger(__name__)

DIMENSIONS = (2, 3, 4, 5, 6)

# Copies of a point under the network's symmetries have its loss; other points differ by much more.
_SAME_LOSS = 1e-6


class CriticalPoints(MeasureCallback):
    """Searches critical points of the objective that is trained, weight decay included.

    Each measurement of the schedule is the start of one search, moved by ``noise`` (Dauphin et al. 2014);
    the searches run together, in float64 on the CPU, when training is over. Points of equal index and loss
    count once: most are copies under the symmetries of the network.

    Metrics: ``critical_points/converged_fraction`` of the searches; ``critical_points/distinct``, the number
    of points found, and of these ``critical_points/degenerate_fraction``, with an eigenvalue that is zero
    within the precision; ``critical_points/rank_correlation``, Spearman's of index and loss;
    ``critical_points/loss_index_<k>``, the mean loss (without weight decay) at index k. With
    ``random_matrix_samples`` also ``critical_points/goe_positive_definite_d<d>`` for d = 2 to 6, the share of
    positive definite matrices of the Gaussian orthogonal ensemble. What is not defined is NaN.

    Arrays: ``critical_points/index`` and ``critical_points/loss`` (points,); ``critical_points/dimensions``,
    ``critical_points/goe_positive_definite`` and ``critical_points/independent_signs``, 2^-d (5,). Figure:
    ``critical_points``.

    Args:
        noise: what is added to each weight of a start is uniform between plus and minus this; 0 for nothing.
        max_steps, tolerance: of each search, see :func:`~dlexp.measures.hessian.find_critical_point`.
        random_matrix_samples: matrices of each dimension; None for none.
        schedule: arguments of :class:`~dlexp.callbacks.base.MeasureCallback`.

    Raises ``ValueError`` for settings that are not allowed, ``MemoryError`` for a network that is too large.
    """

    name = "critical_points"

    def __init__(
        self,
        *,
        noise: float = 0.0,
        max_steps: int = 500,
        tolerance: float = 1e-8,
        random_matrix_samples: int | None = None,
        **schedule: Any,
    ) -> None:
        super().__init__(**schedule)
        if noise != 0:
            require_positive("noise", noise)
        require_count("max_steps", max_steps)
        require_positive("tolerance", tolerance)
        require_count("random_matrix_samples", random_matrix_samples, null="none")
        self.noise = noise
        self.max_steps, self.tolerance = max_steps, tolerance
        self.random_matrix_samples = random_matrix_samples

    def find_problems(self, config: Mapping[str, Any], plan: Plan) -> list[str]:
        """Return a sentence if the optimizer's weight decay is not that of an objective."""
        optimizer = config["optimizer"]
        if optimizer["name"] == "adamw" and optimizer["weight_decay"]:
            return [
                "optimizer.name=adamw is not allowed with weight decay: callbacks.critical_points needs an "
                "optimizer that descends the loss plus weight_decay / 2 |weights|^2."
            ]
        return []

    def begin(self, module: Member) -> None:
        """Forget the starts of an earlier run."""
        self._starts: list[Tensor] = []

    def measure(self, module: Member) -> Mapping[str, float]:
        """Keep the network as a start."""
        self._starts.append(parameter_vector(module.network).cpu().double())
        return {}

    def finish(self, module: Member) -> None:
        """Search, record what was found and draw it."""
        generator = self.generator()
        if self._starts:
            self._search(module, generator)
        if self.random_matrix_samples is not None:
            self._sample_matrices(module, self.random_matrix_samples, generator)

    def _search(self, module: Member, generator: torch.Generator) -> None:
        starts = torch.stack(self._starts)
        uniform = torch.rand(starts.shape, dtype=starts.dtype, generator=generator)
        x, y = module.tensors.x_train.cpu().double(), module.tensors.y_train.cpu()
        found = find_critical_point(
            copy.deepcopy(module.network).cpu().double(),
            module.loss,
            x,
            y.double() if y.is_floating_point() else y,
            starts + self.noise * (2 * uniform - 1),
            weight_decay=module.optimizer_settings.weight_decay,
            tolerance=self.tolerance,
            max_steps=self.max_steps,
        )
        points = distinct_points(found)
        log.info(
            "%d of %d searches converged, to %d points", int(found.converged.sum()), len(starts), len(points)
        )
        index, loss = found.index[points], found.loss[points]
        module.record(
            {
                "critical_points/converged_fraction": float(found.converged.double().mean()),
                "critical_points/distinct": len(points),
                "critical_points/degenerate_fraction": _mean(is_degenerate(found.eigenvalues[points])),
                **index_metrics(index, loss),
            }
        )
        module.recorder.record_array("critical_points/index", index)
        module.recorder.record_array("critical_points/loss", loss)
        if self.figures:
            figure = draw_critical_points(index.numpy(), loss.numpy(), n_starts=len(starts))
            module.recorder.record_figure("critical_points", figure, step=module.step)

    def _sample_matrices(self, module: Member, samples: int, generator: torch.Generator) -> None:
        shares = [goe_positive_definite_share(d, samples, generator=generator) for d in DIMENSIONS]
        names = [f"critical_points/goe_positive_definite_d{d}" for d in DIMENSIONS]
        module.record(dict(zip(names, shares, strict=True)))
        record = module.recorder.record_array
        record("critical_points/dimensions", DIMENSIONS)
        record("critical_points/goe_positive_definite", shares)
        record("critical_points/independent_signs", [2.0**-d for d in DIMENSIONS])


def distinct_points(found: FoundPoint) -> list[int]:
    """Return the positions of one converged search for each pair of index and loss, by index, then loss."""
    converged = found.converged.nonzero()[:, 0].tolist()
    points: list[int] = []
    for i in sorted(converged, key=lambda i: (int(found.index[i]), float(found.loss[i]))):
        is_known = (
            bool(points)
            and bool(found.index[points[-1]] == found.index[i])
            and math.isclose(found.loss[points[-1]], found.loss[i], rel_tol=_SAME_LOSS)
        )
        if not is_known:
            points.append(i)
    return points


def index_metrics(index: Tensor, loss: Tensor) -> dict[str, float]:
    """Return how the loss of points depends on their index, both (points,)."""
    from scipy.stats import spearmanr

    varies = len(index.unique()) > 1 and len(loss.unique()) > 1
    return {
        "critical_points/rank_correlation": float(spearmanr(index, loss).statistic) if varies else math.nan,
        **{f"critical_points/loss_index_{k}": _mean(loss[index == k]) for k in index.unique().tolist()},
    }


def _mean(values: Tensor) -> float:
    return float(values.double().mean())
