"""How much the training loss rises around the weights while a network trains."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from dlexp.callbacks.base import MeasureCallback
from dlexp.callbacks.settings import require_count, require_names, require_positive
from dlexp.measures.sharpness import WorstCase, average, one_step, worst_case
from dlexp.train.member import Member

log = logging.getLogger(__name__)

MEASURES = ("worst_case", "one_step", "average", "adaptive")


class Sharpness(MeasureCallback):
    """Measures rises of the loss that is trained, on training data; see :mod:`dlexp.measures.sharpness`.

    Metrics: ``sharpness/worst_case``, the largest rise found in the ball of ``radius`` around the weights;
    ``sharpness/one_step``, that of one ascent step, a lower bound; ``sharpness/average``, the mean over the
    ball's surface, with ``sharpness/average_standard_error``; ``sharpness/adaptive``, the worst case where
    each weight moves relative to its size, within ``adaptive_radius``. Each is measured by random starts of
    its own: what else is measured does not change it.

    Arrays: ``sharpness/steps`` and one of each metric (T,).

    Args:
        measures: any of ``MEASURES``.
        radius: Euclidean distance in weight space.
        adaptive_radius: norm of the relative changes delta_i / w_i.
        n_samples: how many training rows, the first ones; None for all.
        n_starts, max_steps: of the ascents that look for the worst case.
        n_directions: pairs of opposite perturbations of the average.
        chunk_size: networks evaluated at once, to bound the memory; None for all.
        schedule: arguments of :class:`~dlexp.callbacks.base.MeasureCallback`.

    Raises ``ValueError`` for settings that are not allowed.
    """

    name = "sharpness"

    def __init__(
        self,
        *,
        measures: Sequence[str] = MEASURES,
        radius: float = 0.05,
        adaptive_radius: float = 0.5,
        n_samples: int | None = None,
        n_starts: int = 8,
        max_steps: int = 200,
        n_directions: int = 64,
        chunk_size: int | None = None,
        **schedule: Any,
    ) -> None:
        super().__init__(**schedule)
        require_names("measures", measures, MEASURES)
        require_positive("radius", radius)
        require_positive("adaptive_radius", adaptive_radius)
        require_count("n_samples", n_samples, null="all")
        require_count("n_starts", n_starts)
        require_count("max_steps", max_steps)
        require_count("n_directions", n_directions, minimum=2)
        require_count("chunk_size", chunk_size, null="all at once")
        self.measures = [name for name in MEASURES if name in measures]
        self.radius, self.adaptive_radius = radius, adaptive_radius
        self.n_samples = n_samples
        self.n_starts, self.max_steps = n_starts, max_steps
        self.n_directions = n_directions
        self.chunk_size = chunk_size

    def begin(self, module: Member) -> None:
        """Forget what an earlier training has left."""
        self._steps: list[int] = []
        self._values: dict[str, list[float]] = {}

    def measure(self, module: Member) -> Mapping[str, float]:
        """Return the metrics."""
        metrics: dict[str, float] = {}
        for measure in self.measures:
            metrics |= self._metrics(measure, module)
        self._steps.append(module.step)
        for name, value in metrics.items():
            self._values.setdefault(name, []).append(value)
        return metrics

    def finish(self, module: Member) -> None:
        """Keep the values over time."""
        if self._steps:
            module.recorder.record_array("sharpness/steps", self._steps)
        for name, values in self._values.items():
            module.recorder.record_array(name, values)

    def _metrics(self, measure: str, module: Member) -> dict[str, float]:
        x, y = module.tensors.x_train[: self.n_samples], module.tensors.y_train[: self.n_samples]
        loss = (module.network, module.loss, x, y)
        ascent: dict[str, Any] = {
            "n_starts": self.n_starts,
            "max_steps": self.max_steps,
            "generator": self.generator(),
            "chunk_size": self.chunk_size,
        }
        match measure:
            case "worst_case":
                found = worst_case(*loss, radius=self.radius, **ascent)
                return {"sharpness/worst_case": self._increase(found, measure, module)}
            case "one_step":
                return {"sharpness/one_step": one_step(*loss, radius=self.radius)}
            case "average":
                mean = average(
                    *loss,
                    radius=self.radius,
                    n_samples=self.n_directions,
                    generator=self.generator(),
                    chunk_size=self.chunk_size,
                )
                return {
                    "sharpness/average": mean.increase,
                    "sharpness/average_standard_error": mean.standard_error,
                }
            case _:
                found = worst_case(*loss, radius=self.adaptive_radius, normalization="adaptive", **ascent)
                return {"sharpness/adaptive": self._increase(found, measure, module)}

    def _increase(self, found: WorstCase, measure: str, module: Member) -> float:
        if not found.converged:
            log.info(
                "sharpness/%s at step %d: the search used up max_steps=%d, the value is a lower bound",
                measure,
                module.step,
                self.max_steps,
            )
        return found.increase
