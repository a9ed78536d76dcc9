"""How much the training loss rises around the weights while a network trains."""

import logging
from collections.abc import Mapping
from typing import Any

from dlexp.callbacks.base import MeasureCallback
from dlexp.config.callbacks import SHARPNESS_MEASURES, SharpnessSettings
from dlexp.measures.sharpness import average, one_step, worst_case
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
        one_step(*self._loss(trial), radius=self.settings.radius)
        average(*self._loss(trial), radius=self.settings.radius, n_samples=2, generator=self.generator())

    def measure(self, member: Member) -> Mapping[str, float]:
        """Return the metrics."""
        metrics: dict[str, float] = {}
        for measure in SHARPNESS_MEASURES:
            if measure in self.settings.measures:
                metrics |= self._metrics(measure, member)
        return metrics

    def _loss(self, member: Member) -> tuple[Any, ...]:
        """Return what the measures take: network, loss and the rows used."""
        rows = slice(self.settings.n_samples)
        return member.network, member.loss, member.tensors.x_train[rows], member.tensors.y_train[rows]

    def _metrics(self, measure: str, member: Member) -> dict[str, float]:
        loss, radius = self._loss(member), self.settings.radius
        match measure:
            case "worst_case":
                return {"sharpness/worst_case": self._worst_case(member, measure, radius=radius)}
            case "one_step":
                return {"sharpness/one_step": one_step(*loss, radius=radius)}
            case "average":
                mean = average(
                    *loss,
                    radius=radius,
                    n_samples=self.settings.n_directions,
                    generator=self.generator(),
                    chunk_size=self.settings.chunk_size,
                )
                return {
                    "sharpness/average": mean.increase,
                    "sharpness/average_standard_error": mean.standard_error,
                }
            case _:
                radius = self.settings.adaptive_radius
                increase = self._worst_case(member, measure, radius=radius, normalization="adaptive")
                return {"sharpness/adaptive": increase}

    def _worst_case(self, member: Member, measure: str, **ball: Any) -> float:
        found = worst_case(
            *self._loss(member),
            n_starts=self.settings.n_starts,
            max_steps=self.settings.max_steps,
            generator=self.generator(),
            chunk_size=self.settings.chunk_size,
            **ball,
        )
        if not found.converged:
            log.info(
                "sharpness/%s at step %d: the search used up max_steps=%d, the value is a lower bound",
                measure,
                member.step,
                self.settings.max_steps,
            )
        return found.increase
