"""The curvature of the training loss while a network trains: extreme eigenvalues, trace, signs, spectrum."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from dlexp.callbacks.base import MeasureCallback
from dlexp.callbacks.edge import edge_of_stability, reason_without_edge, sharpness_relative_to_edge
from dlexp.callbacks.settings import require_count, require_positive
from dlexp.measures.functional import parameter_vector
from dlexp.measures.hessian import (
    inertia,
    negative_fraction,
    spectral_density,
    spectrum,
    top_eigenvalues,
    trace,
)
from dlexp.plots.runs.hessian import draw_lambda_max, draw_spectral_density, draw_spectrum
from dlexp.train.member import Member

log = logging.getLogger(__name__)


class Hessian(MeasureCallback):
    """Measures the Hessian of the loss that is trained, on training data.

    Metrics: ``hessian/lambda_max`` and ``hessian/lambda_min``; ``hessian/trace`` with
    ``hessian/trace_standard_error``; ``hessian/negative_fraction``, the share of negative eigenvalues, for
    networks of at most ``dense_up_to`` parameters; for SGD and gradient descent
    ``sharpness/relative_to_edge``, lambda_max lr / 2 with the base learning rate times the schedule's factor
    at the last step taken, which with momentum is divided by 1 + momentum and counts weight decay as
    curvature, and ``sharpness/relative_to_edge_late_mean``, its mean over the last ``late_measurements``
    measurements: at the edge lambda_max oscillates about it (Cohen et al. 2021). Both are left out for other
    optimizers and for learning rates that differ by layer, the mean for fewer measurements too. NaN where
    the Hessian overflows.

    Up to ``dense_up_to`` parameters all are exact, from the whole spectrum; beyond, Lanczos starts from the
    eigenvectors found before. Weights that are masked count as any other.

    Arrays: ``hessian/steps``, ``hessian/lambda_max``, ``hessian/lambda_min``, ``hessian/edge`` (T,), the
    lambda_max at the edge of stability; at the end ``hessian/eigenvalues`` (P,), or ``hessian/density_grid``,
    ``hessian/density`` (G,), ``hessian/density_nodes`` and ``hessian/density_weights`` (probes, steps).
    Figures: ``hessian/lambda_max``, ``hessian/spectrum``.

    Args:
        n_samples: how many training rows, the first ones; None for all.
        dense_up_to: number of parameters up to which the whole spectrum is computed each time; 0 for never.
        smallest: for larger networks: find ``hessian/lambda_min`` too, which takes most of the time where it
            is near 0, among many others.
        trace_probes: random vectors that estimate the trace of larger networks; None leaves it out.
        density_probes, density_steps: of the spectral density of larger networks at the end; None probes
            leave it out.
        tolerance: Lanczos residual relative to the largest |eigenvalue|.
        late_measurements: how many measurements ``sharpness/relative_to_edge_late_mean`` is the mean of.
        batch_size: rows at once, to bound the memory; None for all.
        schedule: arguments of :class:`~dlexp.callbacks.base.MeasureCallback`.

    Raises ``ValueError`` for settings that are not allowed.
    """

    name = "hessian"

    def __init__(
        self,
        *,
        n_samples: int | None = None,
        dense_up_to: int = 1000,
        smallest: bool = True,
        trace_probes: int | None = None,
        density_probes: int | None = 5,
        density_steps: int = 60,
        tolerance: float = 1e-5,
        late_measurements: int = 10,
        batch_size: int | None = None,
        **schedule: Any,
    ) -> None:
        super().__init__(**schedule)
        require_count("n_samples", n_samples, null="all")
        require_count("dense_up_to", dense_up_to, minimum=0)
        require_count("trace_probes", trace_probes, minimum=2, null="no trace")
        require_count("density_probes", density_probes, null="no density")
        require_count("density_steps", density_steps)
        require_positive("tolerance", tolerance)
        require_count("late_measurements", late_measurements)
        require_count("batch_size", batch_size, null="all at once")
        self.n_samples = n_samples
        self.dense_up_to = dense_up_to
        self.trace_probes = trace_probes
        self.density_probes, self.density_steps = density_probes, density_steps
        self.tolerance = tolerance
        self.smallest = smallest
        self.late_measurements = late_measurements
        self.batch_size = batch_size

    def begin(self, module: Member) -> None:
        """Decide what can be measured."""
        self._steps: list[int] = []
        self._values: dict[str, list[float]] = {"lambda_max": [], "lambda_min": [], "edge": [], "loss": []}
        self._relative: list[float] = []
        self._eigenvectors: Tensor | None = None
        self._spectrum: tuple[int, Tensor] | None = None
        size = len(parameter_vector(module.network))
        self._is_dense = size <= self.dense_up_to
        self._has_smallest = self._is_dense or self.smallest
        if not self._is_dense:
            log.info(
                "hessian/negative_fraction is left out: %d parameters are more than dense_up_to=%d",
                size,
                self.dense_up_to,
            )
        reason = reason_without_edge(module)
        self._has_edge = reason is None
        if reason:
            log.info("sharpness/relative_to_edge is left out: %s", reason)

    def measure(self, module: Member) -> Mapping[str, float]:
        """Return the metrics."""
        try:
            metrics = self._from_spectrum(module) if self._is_dense else self._from_products(module)
        except LinAlgError:
            log.warning("the Hessian is not finite at step %d: its metrics are NaN", module.step)
            self._eigenvectors = None
            metrics = dict.fromkeys(("hessian/lambda_max", "hessian/lambda_min"), math.nan)
        lambda_max = metrics["hessian/lambda_max"]
        if self._has_edge:
            metrics |= self._relative_to_edge(module, lambda_max)
        self._steps.append(module.step)
        values = {
            "lambda_max": lambda_max,
            "lambda_min": metrics.get("hessian/lambda_min", math.nan),
            "edge": edge_of_stability(module) if self._has_edge else math.nan,
            "loss": float(module.evaluate("train")["train/loss"]),
        }
        for name, value in values.items():
            self._values[name].append(value)
        return metrics

    def finish(self, module: Member) -> None:
        """Keep the values over time and the spectrum, and draw both."""
        recorder = module.recorder
        if self._steps:
            recorder.record_array("hessian/steps", self._steps)
            names = ["lambda_max"]
            names += ["lambda_min"] if self._has_smallest else []
            names += ["edge"] if self._has_edge else []
            for name in names:
                recorder.record_array(f"hessian/{name}", self._values[name])
            if self.figures:
                figure = draw_lambda_max(self._steps, **self._values, loss_name=module.loss.name)
                recorder.record_figure("hessian/lambda_max", figure, step=module.step)
        try:
            self._finish_spectrum(module)
        except LinAlgError:
            log.warning("the Hessian is not finite at step %d: there is no spectrum", module.step)

    def _finish_spectrum(self, module: Member) -> None:
        recorder, step = module.recorder, module.step
        if self._is_dense:
            eigenvalues = self._eigenvalues(module)
            recorder.record_array("hessian/eigenvalues", eigenvalues.cpu())
            if self.figures:
                figure = draw_spectrum(eigenvalues.cpu().numpy(), inertia(eigenvalues), step=step)
                recorder.record_figure("hessian/spectrum", figure, step=step)
        elif self.density_probes is not None:
            density = spectral_density(
                *self._loss(module),
                n_probes=self.density_probes,
                n_steps=self.density_steps,
                generator=self.generator(),
                batch_size=self.batch_size,
            )
            arrays = {
                "density_grid": density.grid,
                "density": density.density,
                "density_nodes": density.nodes,
                "density_weights": density.weights,
            }
            for name, array in arrays.items():
                recorder.record_array(f"hessian/{name}", array.cpu())
            if self.figures:
                size = len(parameter_vector(module.network))
                figure = draw_spectral_density(density, size=size, step=step)
                recorder.record_figure("hessian/spectrum", figure, step=step)

    def _loss(self, module: Member) -> tuple[Any, ...]:
        """Return what the measures take: network, loss and the rows used."""
        x, y = module.tensors.x_train, module.tensors.y_train
        return module.network, module.loss, x[: self.n_samples], y[: self.n_samples]

    def _eigenvalues(self, module: Member) -> Tensor:
        """Return the whole spectrum, found once a step."""
        if self._spectrum is None or self._spectrum[0] != module.step:
            self._spectrum = module.step, spectrum(*self._loss(module), batch_size=self.batch_size)
        return self._spectrum[1]

    def _relative_to_edge(self, module: Member, lambda_max: float) -> dict[str, float]:
        relative = sharpness_relative_to_edge(module, lambda_max)
        metrics = {"sharpness/relative_to_edge": relative}
        self._relative.append(relative)
        if len(self._relative) >= self.late_measurements:
            late = self._relative[-self.late_measurements :]
            metrics["sharpness/relative_to_edge_late_mean"] = sum(late) / len(late)
        return metrics

    def _from_spectrum(self, module: Member) -> dict[str, float]:
        eigenvalues = self._eigenvalues(module)
        return {
            "hessian/lambda_max": float(eigenvalues[-1]),
            "hessian/lambda_min": float(eigenvalues[0]),
            "hessian/trace": float(eigenvalues.sum()),
            "hessian/trace_standard_error": 0.0,
            "hessian/negative_fraction": negative_fraction(eigenvalues),
        }

    def _from_products(self, module: Member) -> dict[str, float]:
        found = top_eigenvalues(
            *self._loss(module),
            end="both" if self._has_smallest else "largest",
            start=self._eigenvectors,
            tolerance=self.tolerance,
            generator=self.generator(),
            batch_size=self.batch_size,
        )
        if not found.converged:
            log.warning(
                "the extreme eigenvalues at step %d are known up to %.2g only",
                module.step,
                float(found.residuals.max()),
            )
        self._eigenvectors = found.eigenvectors if bool(found.eigenvectors.isfinite().all()) else None
        names = ("hessian/lambda_max", "hessian/lambda_min")[: len(found.eigenvalues)]
        metrics = dict(zip(names, found.eigenvalues.tolist(), strict=True))
        if self.trace_probes is not None:
            estimate = trace(
                *self._loss(module),
                n_probes=self.trace_probes,
                generator=self.generator(),
                batch_size=self.batch_size,
            )
            metrics["hessian/trace"] = estimate.trace
            metrics["hessian/trace_standard_error"] = estimate.standard_error
        return metrics
