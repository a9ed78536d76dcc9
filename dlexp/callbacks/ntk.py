"""How far the neural tangent kernel moves while a network trains, and what its linearisation predicts."""

import logging
import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dlexp.callbacks.base import MeasureCallback
from dlexp.callbacks.infinite_width import infinite_kernel, reason_without_limit
from dlexp.callbacks.linearization import Linearization, reason_without_closed_form
from dlexp.callbacks.settings import require_count
from dlexp.measures.functional import parameter_vector
from dlexp.measures.ntk import (
    condition_number,
    empirical_ntk,
    kernel_drift,
    lambda_max,
    target_alignment,
)
from dlexp.plots.runs.ntk import draw_drift, draw_linearization
from dlexp.train.member import Member, evaluation_mode

log = logging.getLogger(__name__)


class NTK(MeasureCallback):
    """Measures the empirical neural tangent kernel K_t on the first training inputs.

    K_0 and theta_0 are taken at the start of training. Metrics: ``ntk/drift``, |K_t - K_0| / |K_0|
    (Frobenius); ``ntk/parameter_drift``, |theta_t - theta_0| / |theta_0|; ``ntk/alignment`` of K_t with the
    targets (of classes: one-hot vectors less 1 / K, the descent direction at equal probabilities);
    ``ntk/lambda_max``; ``ntk/condition``, infinite where K_t is singular within its precision;
    ``ntk/linearized_gap``, |f_t - f_t^lin| / |f_t^lin| over the first ``n_test`` test inputs, f^lin the
    network linearised at the start and trained by the same gradient descent, in closed form. In the same
    way ``ntk/interpolation_gap``, to where that training ends, f_0 + K_xt K_tt^-1 (y - f_0), and
    ``ntk/kernel_regression_gap``, to kernel regression without a ridge, K_xt K_tt^-1 y, which leaves f_0 out.
    At the start alone, for the MLP in the NTK parametrisation, ``ntk/infinite_distance``, |K_0 - K_inf| /
    |K_inf| with the limit K_inf at infinite width. A value is NaN where it is not defined.

    With K outputs the kernel holds a K x K block for each two inputs, (N, N, K, K); norms, eigenvalues and
    alignment are those of the matrix (N K, N K). The arrays and heat maps hold the mean over the outputs of
    each one's own kernel.

    Arrays: ``ntk/steps`` and one of each metric (T,); ``ntk/kernel_start``, ``ntk/kernel_end`` (N, N);
    ``ntk/network_predictions``, ``ntk/linearized_predictions`` (M, K) at the end. Figures:
    ``ntk/drift``, ``ntk/linearization``.

    Args:
        n_samples: how many training rows the kernel is measured on, the first ones; None for all.
        n_test: how many test rows the predictions are compared on; None for all.
        linearized: whether the gap is measured, which takes the kernel of the whole training set; None:
            where the closed form is how the network trains, that is, full-batch gradient descent on a squared
            error with a constant learning rate, without momentum and weight decay.
        schedule: arguments of :class:`~dlexp.callbacks.base.MeasureCallback`.

    Raises ``ValueError`` for settings that are not allowed; at the start of training for ``linearized`` true
    where the closed form does not hold, and ``MemoryError`` for a kernel that does not fit.
    """

    name = "ntk"

    def __init__(
        self,
        *,
        n_samples: int | None = 100,
        n_test: int | None = 100,
        linearized: bool | None = None,
        **schedule: Any,
    ) -> None:
        super().__init__(**schedule)
        require_count("n_samples", n_samples, null="all")
        require_count("n_test", n_test, null="all")
        if linearized not in (True, False, None):
            raise ValueError(f"linearized={linearized} is not allowed: it must be true, false or null")
        self.n_samples, self.n_test = n_samples, n_test
        self.linearized = linearized

    def begin(self, module: Member) -> None:
        """Take the kernel, the weights and, where wanted, the linearisation that training starts from."""
        self._values: dict[str, list[float]] = {}
        self._steps: list[int] = []
        linearizes = self._linearizes(module)
        with self._timed(), evaluation_mode(module.network):
            self._initial_weights = parameter_vector(module.network)
            self._initial_kernel = empirical_ntk(module.network, self._inputs(module))
            self._kernel = module.step, self._initial_kernel
            self._linearization = Linearization(module, self._test_inputs(module)) if linearizes else None
            self._limits = self._limits_of_training()
            initial = self._initial_metrics(module)
        module.record(initial)

    def measure(self, module: Member) -> Mapping[str, float]:
        """Return the metrics."""
        weights, start = parameter_vector(module.network), self._initial_weights
        metrics = {
            **kernel_metrics(self._present_kernel(module), self._initial_kernel, self._targets(module)),
            "ntk/parameter_drift": _ratio(weights - start, start),
        }
        if self._linearization is not None:
            predicted = {"linearized": self._linearization.predictions(module.step), **self._limits}
            outputs = self._outputs(module)
            metrics |= {f"ntk/{name}_gap": _ratio(outputs - p, p) for name, p in predicted.items()}
        self._steps.append(module.step)
        for name, value in metrics.items():
            self._values.setdefault(name, []).append(value)
        return metrics

    def finish(self, module: Member) -> None:
        """Keep the values over time and the kernels before and after, and draw them."""
        recorder, step = module.recorder, module.step
        kernel = self._present_kernel(module)
        before, after = (_mean_kernel(k).cpu() for k in (self._initial_kernel, kernel))
        recorder.record_array("ntk/kernel_start", before)
        recorder.record_array("ntk/kernel_end", after)
        if self._steps:
            recorder.record_array("ntk/steps", self._steps)
        for name, values in self._values.items():
            recorder.record_array(name, values)
        if self._linearization is not None:
            network, predicted = self._outputs(module), self._linearization.predictions(step)
            recorder.record_array("ntk/network_predictions", network.cpu())
            recorder.record_array("ntk/linearized_predictions", predicted.cpu())
        if self.figures:
            self._draw(module, before, after)

    def _draw(self, module: Member, before: Tensor, after: Tensor) -> None:
        recorder, step = module.recorder, module.step
        order = _by_target(self._targets(module)).cpu()
        maps = [k[order][:, order].numpy() for k in (before, after)]
        drift = {name: self._values.get(f"ntk/{name}", []) for name in ("drift", "parameter_drift")}
        figure = draw_drift(self._steps, **drift, before=maps[0], after=maps[1], last_step=step)
        recorder.record_figure("ntk/drift", figure, step=step)
        if self._linearization is not None:
            figure = draw_linearization(
                self._steps,
                self._values.get("ntk/linearized_gap", []),
                network=self._outputs(module).cpu().numpy(),
                linearized=self._linearization.predictions(step).cpu().numpy(),
                initial=self._linearization.f0_x.cpu().numpy(),
                last_step=step,
            )
            recorder.record_figure("ntk/linearization", figure, step=step)

    def _linearizes(self, module: Member) -> bool:
        if self.linearized is False:
            return False
        reason = reason_without_closed_form(module)
        if reason and self.linearized:
            raise ValueError(
                f"callbacks.ntk.linearized=true is not allowed: {reason}, and its closed form is that of "
                "full-batch gradient descent on a squared error with a constant learning rate"
            )
        if reason:
            log.info("ntk/linearized_gap is left out: %s", reason)
        return reason is None

    def _limits_of_training(self) -> dict[str, Tensor]:
        """Return where the linearised network ends, and kernel regression, by the metric's name."""
        if self._linearization is None:
            return {}
        starts = {"interpolation": True, "kernel_regression": False}
        return {name: self._linearization.interpolation(from_initial=start) for name, start in starts.items()}

    def _initial_metrics(self, module: Member) -> dict[str, float]:
        reason = reason_without_limit(module)
        if reason:
            log.info("ntk/infinite_distance is left out: %s", reason)
            return {}
        limit = infinite_kernel(module, self._inputs(module))
        return {"ntk/infinite_distance": _ratio(self._initial_kernel - limit, limit)}

    def _inputs(self, module: Member) -> Tensor:
        return module.tensors.x_train[: self.n_samples]

    def _test_inputs(self, module: Member) -> Tensor:
        return module.tensors.x_test[: self.n_test]

    def _targets(self, module: Member) -> Tensor:
        """Return the targets (N, K) of the rows used."""
        y = module.tensors.y_train[: self.n_samples]
        if module.loss.error is None:
            return y
        outputs = self._initial_kernel.shape[-1]
        return F.one_hot(y, outputs).to(self._initial_kernel.dtype) - 1 / outputs

    @torch.no_grad()
    def _outputs(self, module: Member) -> Tensor:
        outputs: Tensor = module.network(self._test_inputs(module))
        return outputs

    def _present_kernel(self, module: Member) -> Tensor:
        """Return the kernel of the network as it is now, computed once a step."""
        if self._kernel[0] != module.step:
            self._kernel = module.step, empirical_ntk(module.network, self._inputs(module))
        return self._kernel[1]


def kernel_metrics(kernel: Tensor, initial_kernel: Tensor, targets: Tensor) -> dict[str, float]:
    """Return drift, alignment, lambda_max and condition of a kernel; NaN where one is not defined."""
    is_finite = bool(kernel.isfinite().all())
    has_alignment = is_finite and bool(kernel.any()) and bool(targets.any())
    return {
        "ntk/drift": kernel_drift(kernel, initial_kernel) if bool(initial_kernel.any()) else math.nan,
        "ntk/alignment": target_alignment(kernel, targets) if has_alignment else math.nan,
        "ntk/lambda_max": lambda_max(kernel) if is_finite else math.nan,
        "ntk/condition": condition_number(kernel) if is_finite else math.nan,
    }


def _ratio(difference: Tensor, reference: Tensor) -> float:
    """Return |difference| / |reference|: 0 where there is no difference, else NaN for a reference of 0."""
    distance, norm = float(difference.cpu().double().norm()), float(reference.cpu().double().norm())
    if distance == 0:
        return 0.0
    return distance / norm if norm else math.nan


def _mean_kernel(kernel: Tensor) -> Tensor:
    return kernel if kernel.ndim == 2 else kernel.diagonal(dim1=2, dim2=3).mean(dim=-1)


def _by_target(targets: Tensor) -> Tensor:
    """Return the rows in an order that puts like targets together."""
    return (
        targets.argmax(dim=1).sort(stable=True).indices if targets.shape[1] > 1 else targets[:, 0].argsort()
    )
