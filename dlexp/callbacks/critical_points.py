"""Critical points near a training run: their index, their loss, and what random matrices would give."""

import copy
import logging
import math
from collections.abc import Mapping

import torch
from scipy.stats import spearmanr
from torch import Tensor

from dlexp.callbacks.base import MeasureCallback
from dlexp.config.callbacks import CriticalPointsSettings
from dlexp.measures.functional import parameter_vector
from dlexp.measures.hessian import (
    FoundPoint,
    distinct_points,
    find_critical_point,
    goe_positive_definite_share,
    is_degenerate,
)
from dlexp.plots.runs.critical_points import draw_critical_points
from dlexp.train.member import Member

log = logging.getLogger(__name__)

DIMENSIONS = (2, 3, 4, 5, 6)


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

    Raises ``MemoryError`` for a network that is too large.
    """

    name = "critical_points"
    settings_model = CriticalPointsSettings
    settings: CriticalPointsSettings

    def begin(self, member: Member) -> None:
        """Forget the starts of an earlier run."""
        self._starts: list[Tensor] = []

    def try_on(self, trial: Member) -> None:
        """Take one step of a search."""
        super().try_on(trial)
        self._find(trial, parameter_vector(trial.network).double()[None], max_steps=1)

    def measure(self, member: Member) -> Mapping[str, float]:
        """Keep the network as a start."""
        self._starts.append(parameter_vector(member.network).cpu().double())
        return {}

    def finish(self, member: Member) -> None:
        """Search, record what was found and draw it."""
        generator = self.generator()
        if self._starts:
            self._search(member, generator)
        if self.settings.random_matrix_samples is not None:
            self._sample_matrices(member, self.settings.random_matrix_samples, generator)

    def _search(self, member: Member, generator: torch.Generator) -> None:
        starts = torch.stack(self._starts)
        uniform = torch.rand(starts.shape, dtype=starts.dtype, generator=generator)
        moved = starts + self.settings.noise * (2 * uniform - 1)
        found = self._find(member, moved, max_steps=self.settings.max_steps)
        points = distinct_points(found)
        log.info(
            "%d of %d searches converged, to %d points", int(found.converged.sum()), len(starts), len(points)
        )
        index, loss = found.index[points], found.loss[points]
        member.record(
            {
                "critical_points/converged_fraction": float(found.converged.double().mean()),
                "critical_points/distinct": len(points),
                "critical_points/degenerate_fraction": _mean(is_degenerate(found.eigenvalues[points])),
                **index_metrics(index, loss),
            }
        )
        member.recorder.record_array("critical_points/index", index)
        member.recorder.record_array("critical_points/loss", loss)
        drawn = index.numpy(), loss.numpy()
        self.draw(member, "critical_points", draw_critical_points, *drawn, n_starts=len(starts))

    def _find(self, member: Member, starts: Tensor, *, max_steps: int) -> FoundPoint:
        x, y = member.tensors.x_train.cpu().double(), member.tensors.y_train.cpu()
        return find_critical_point(
            copy.deepcopy(member.network).cpu().double(),
            member.loss,
            x,
            y.double() if y.is_floating_point() else y,
            starts,
            weight_decay=member.optimizer_settings.weight_decay,
            tolerance=self.settings.tolerance,
            max_steps=max_steps,
        )

    def _sample_matrices(self, member: Member, samples: int, generator: torch.Generator) -> None:
        shares = [goe_positive_definite_share(d, samples, generator=generator) for d in DIMENSIONS]
        names = [f"critical_points/goe_positive_definite_d{d}" for d in DIMENSIONS]
        member.record(dict(zip(names, shares, strict=True)))
        record = member.recorder.record_array
        record("critical_points/dimensions", DIMENSIONS)
        record("critical_points/goe_positive_definite", shares)
        record("critical_points/independent_signs", [2.0**-d for d in DIMENSIONS])


def index_metrics(index: Tensor, loss: Tensor) -> dict[str, float]:
    """Return how the loss of points depends on their index, both (points,)."""
    varies = len(index.unique()) > 1 and len(loss.unique()) > 1
    return {
        "critical_points/rank_correlation": float(spearmanr(index, loss).statistic) if varies else math.nan,
        **{f"critical_points/loss_index_{k}": _mean(loss[index == k]) for k in index.unique().tolist()},
    }


def _mean(values: Tensor) -> float:
    return float(values.double().mean())
