"""The curvature of the training loss while a network trains: extreme eigenvalues, trace, signs, spectrum."""

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from dlexp.callbacks.base import MeasureCallback, training_loss
from dlexp.callbacks.edge import edge_metrics, eigenvalue_lines, reason_without_edge
from dlexp.config.callbacks import HessianSettings
from dlexp.measures.functional import parameter_vector
from dlexp.measures.hessian import (
    hvp,
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
    optimizers and for learning rates that differ by layer, the mean for fewer measurements too. All are NaN
    where the Hessian overflows.

    Up to ``dense_up_to`` parameters all are exact, from the whole spectrum; beyond, Lanczos starts from the
    eigenvectors found before. Weights that are masked count as any other.

    Arrays, at the end: ``hessian/eigenvalues`` (P,), or ``hessian/density_grid``, ``hessian/density`` (G,),
    ``hessian/density_nodes`` and ``hessian/density_weights`` (probes, steps).
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
    """

    name = "hessian"
    settings_model = HessianSettings
    settings: HessianSettings

    def left_out(self, member: Member) -> Iterator[str]:
        """Say what large networks and other optimizers do not have."""
        if not self._is_dense(member):
            yield f"hessian/negative_fraction: more than dense_up_to={self.settings.dense_up_to} parameters"
        reason = reason_without_edge(member)
        if reason is not None:
            yield f"sharpness/relative_to_edge: {reason}"

    def begin(self, member: Member) -> None:
        """Forget what an earlier training has left."""
        self._eigenvectors: Tensor | None = None
        self._eigenvalues: tuple[int, Tensor] | None = None

    def try_on(self, trial: Member) -> None:
        """Differentiate the loss twice."""
        network, loss, x, y = training_loss(trial, self.settings.n_samples)
        hvp(network, loss, x, y, parameter_vector(network))

    def measure(self, member: Member) -> Mapping[str, float]:
        """Return the metrics."""
        try:
            metrics = self._exactly(member) if self._is_dense(member) else self._by_products(member)
        except LinAlgError:
            log.warning("the Hessian is not finite at step %d: its metrics are NaN", member.step)
            self._eigenvectors = None
            metrics = dict.fromkeys(self._names(member), math.nan)
        return metrics | edge_metrics(member, metrics["hessian/lambda_max"], self.settings.late_measurements)

    def finish(self, member: Member) -> None:
        """Keep the spectrum, or its density, and draw it."""
        lines = eigenvalue_lines(member)
        if lines["steps"]:
            self.draw(member, "hessian/lambda_max", draw_lambda_max, **lines)
        size, step, record = len(parameter_vector(member.network)), member.step, member.recorder.record_array
        try:
            if self._is_dense(member):
                eigenvalues = self._spectrum(member)
                record("hessian/eigenvalues", eigenvalues.cpu())
                values, signs = eigenvalues.cpu().numpy(), inertia(eigenvalues)
                self.draw(member, "hessian/spectrum", draw_spectrum, values, signs, step=step)
            elif self.settings.density_probes is not None:
                density = spectral_density(
                    *training_loss(member, self.settings.n_samples),
                    n_probes=self.settings.density_probes,
                    n_steps=self.settings.density_steps,
                    **self._how(),
                )
                for name, array in zip(("_grid", "", "_nodes", "_weights"), density[:4], strict=True):
                    record(f"hessian/density{name}", array.cpu())
                self.draw(member, "hessian/spectrum", draw_spectral_density, density, size=size, step=step)
        except LinAlgError:
            log.warning("the Hessian is not finite at step %d: there is no spectrum", step)

    def _is_dense(self, member: Member) -> bool:
        return len(parameter_vector(member.network)) <= self.settings.dense_up_to

    def _names(self, member: Member) -> list[str]:
        """Return what is measured but for the edge."""
        chosen = self.settings
        is_dense = self._is_dense(member)
        names = ["lambda_max", *["lambda_min"] * (is_dense or chosen.smallest)]
        names += ["trace", "trace_standard_error"] * (is_dense or chosen.trace_probes is not None)
        return [f"hessian/{name}" for name in (*names, *["negative_fraction"] * is_dense)]

    def _how(self) -> dict[str, Any]:
        return {"generator": self.generator(), "batch_size": self.settings.batch_size}

    def _spectrum(self, member: Member) -> Tensor:
        """Return all eigenvalues, found once a step."""
        if self._eigenvalues is None or self._eigenvalues[0] != member.step:
            loss = training_loss(member, self.settings.n_samples)
            self._eigenvalues = member.step, spectrum(*loss, batch_size=self.settings.batch_size)
        return self._eigenvalues[1]

    def _exactly(self, member: Member) -> dict[str, float]:
        all_of_them = self._spectrum(member)
        top, bottom, total = float(all_of_them[-1]), float(all_of_them[0]), float(all_of_them.sum())
        values = (top, bottom, total, 0.0, negative_fraction(all_of_them))
        return dict(zip(self._names(member), values, strict=True))

    def _by_products(self, member: Member) -> dict[str, float]:
        loss, how = training_loss(member, self.settings.n_samples), self.settings
        found = top_eigenvalues(
            *loss,
            end="both" if how.smallest else "largest",
            start=self._eigenvectors,
            tolerance=how.tolerance,
            **self._how(),
        )
        if not found.converged:
            error = float(found.residuals.max())
            log.warning("the extreme eigenvalues at step %d are known up to %.2g only", member.step, error)
        self._eigenvectors = found.eigenvectors if bool(found.eigenvectors.isfinite().all()) else None
        values = found.eigenvalues.tolist()
        if how.trace_probes is not None:
            values += trace(*loss, n_probes=how.trace_probes, **self._how())[:2]
        return dict(zip(self._names(member), values, strict=True))
