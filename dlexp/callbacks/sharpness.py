"""How much the training loss rises around the weights while a network trains."""

import logging
from collections.abc import Mapping
from typing import Any

from dlexp.callbacks.base import MeasureCallback, training_loss
from dlexp.config.callbacks import SHARPNESS_MEASURES, SharpnessSettings
from dlexp.measures.sharpness import Normalization, average, one_step, worst_case
from dlexp.train.member import Member

log = logging.getLogger(__name__)


class Sharpness(MeasureCallback):
    """Measures rises of the loss that is trained, on training data; see :mod:`dlexp.measures.sharpness`.

    Metrics: ``sharpness/worst_case``, the largest rise found in the ball of ``radius`` around the weights;
    ``sharpness/one_step``, that of one ascent step, a lower bound; ``sharpness/average``, the mean over the
    ball's surface, with ``sharpness/average_standard_error``; ``sharpness/adaptive``, the worst case where
    each weight moves relative to its size, within ``adaptive_radius``. Each is measured by random starts of
    its own: what else is measured does not change it.

    Args:
        measures: any of ``SHARPNESS_MEASURES``.
        radius: Euclidean distance in weight space.
        adaptive_radius: norm of the relative changes delta_i / w_i.
        n_samples: how many training rows, the first ones; None for all.
        n_starts, max_steps: of the ascents that look for the worst case.
        n_directions: pairs of opposite perturbations of the average.
        chunk_size: networks evaluated at once, to bound the memory; None for all.
        schedule: arguments of :class:`~dlexp.callbacks.base.MeasureCallback`.
    """

    name = "sharpness"
    settings_model = SharpnessSettings
    settings: SharpnessSettings

    def try_on(self, trial: Member) -> None:
        """Take one ascent step, and evaluate the loss at a few points at once."""
        loss, radius = training_loss(trial, self.settings.n_samples), self.settings.radius
        one_step(*loss, radius=radius)
        average(*loss, radius=radius, n_samples=2, generator=self.generator())

    def measure(self, member: Member) -> Mapping[str, float]:
        """Return the metrics."""
        metrics: dict[str, float] = {}
        for measure in SHARPNESS_MEASURES:
            if measure in self.settings.measures:
                metrics |= self._metrics(measure, member)
        return metrics

    def _metrics(self, measure: str, member: Member) -> dict[str, float]:
        how, loss = self.settings, training_loss(member, self.settings.n_samples)
        drawn: Any = {"generator": self.generator(), "chunk_size": how.chunk_size}
        match measure:
            case "one_step":
                return {"sharpness/one_step": one_step(*loss, radius=how.radius)}
            case "average":
                mean = average(*loss, radius=how.radius, n_samples=how.n_directions, **drawn)
                return {
                    "sharpness/average": mean.increase,
                    "sharpness/average_standard_error": mean.standard_error,
                }
        normalization: Normalization = "adaptive" if measure == "adaptive" else "none"
        found = worst_case(
            *loss,
            radius=how.adaptive_radius if measure == "adaptive" else how.radius,
            normalization=normalization,
            n_starts=how.n_starts,
            max_steps=how.max_steps,
            **drawn,
        )
        if not found.converged:
            log.info(
                "sharpness/%s at step %d: the search used up max_steps=%d, the value is a lower bound",
                measure,
                member.step,
                how.max_steps,
            )
        return {f"sharpness/{measure}": found.increase}
