"""How far the neural tangent kernel moves while a network trains, and what its linearisation predicts."""

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from dlexp.callbacks.base import MeasureCallback
from dlexp.callbacks.infinite_width import infinite_kernel, reason_without_limit
from dlexp.callbacks.linearization import Linearization, reason_without_closed_form
from dlexp.config.callbacks import NTKSettings
from dlexp.measures.functional import parameter_vector
from dlexp.measures.ntk import empirical_ntk, kernel_statistics, mean_kernel, relative_distance
from dlexp.plots.runs.ntk import draw_drift, draw_linearization
from dlexp.train.member import Member


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

    Arrays: ``ntk/kernel_start``, ``ntk/kernel_end`` (N, N); ``ntk/network_predictions``,
    ``ntk/linearized_predictions`` (M, K) at the end. Figures: ``ntk/drift``, ``ntk/linearization``.

    Args:
        n_samples: how many training rows the kernel is measured on, the first ones; None for all.
        n_test: how many test rows the predictions are compared on; None for all.
        linearized: whether the gap is measured, which takes the kernel of the whole training set; None:
            where the closed form is how the network trains, that is, full-batch gradient descent on a squared
            error with a constant learning rate, without momentum and weight decay.
        schedule: arguments of :class:`~dlexp.callbacks.base.MeasureCallback`.

    Raises ``ValueError`` at the start of training for ``linearized`` true where the closed form does not
    hold, and ``MemoryError`` for a kernel that does not fit.
    """

    name = "ntk"
    settings_model = NTKSettings
    settings: NTKSettings

    def left_out(self, member: Member) -> Iterator[str]:
        """Say where there is no closed form and no limit."""
        reason = reason_without_closed_form(member)
        if reason is not None and self.settings.linearized is None:
            yield f"ntk/linearized_gap: {reason}"
        reason = reason_without_limit(member)
        if reason is not None:
            yield f"ntk/infinite_distance: {reason}"

    def begin(self, member: Member) -> None:
        """Take the kernel, the weights and, where wanted, the linearisation that training starts from."""
        reason = reason_without_closed_form(member)
        if reason is not None and self.settings.linearized:
            raise ValueError(
                f"callbacks.ntk.linearized=true is not allowed: {reason}, and its closed form is that of "
                "full-batch gradient descent on a squared error with a constant learning rate"
            )
        x, x_test = self._inputs(member), self._test_inputs(member)
        self._initial_weights = parameter_vector(member.network)
        self._initial_kernel = empirical_ntk(member.network, x)
        self._kernel = member.step, self._initial_kernel
        wanted = reason is None and self.settings.linearized is not False
        self._linearization = Linearization(member, x_test) if wanted else None
        if reason_without_limit(member) is None:
            distance = relative_distance(self._initial_kernel, infinite_kernel(member, x))
            member.record({"ntk/infinite_distance": distance})

    def measure(self, member: Member) -> Mapping[str, float]:
        """Return the metrics."""
        kernel, targets = self._present_kernel(member), self._targets(member)
        weights = parameter_vector(member.network)
        statistics = kernel_statistics(kernel, self._initial_kernel, targets)
        metrics = {
            **{f"ntk/{name}": value for name, value in statistics.items()},
            "ntk/parameter_drift": relative_distance(weights, self._initial_weights),
        }
        if self._linearization is not None:
            outputs = self._outputs(member)
            for name, predicted in self._linearization.predictions(member.step).items():
                metrics[f"ntk/{name}_gap"] = relative_distance(outputs, predicted)
        return metrics

    def finish(self, member: Member) -> None:
        """Keep the kernels before and after and the last predictions, and draw both."""
        record, kernel = member.recorder.record_array, self._present_kernel(member)
        before, after = (mean_kernel(k).cpu() for k in (self._initial_kernel, kernel))
        record("ntk/kernel_start", before)
        record("ntk/kernel_end", after)
        order = _by_target(self._targets(member)).cpu()
        maps = {"before": before[order][:, order].numpy(), "after": after[order][:, order].numpy()}
        steps, drift = member.recorder.series("ntk/drift")
        changes = {"drift": drift, "parameter_drift": member.recorder.series("ntk/parameter_drift")[1]}
        last = {"last_step": member.step}
        self.draw(member, "ntk/drift", draw_drift, steps, **changes, **maps, **last)
        if self._linearization is not None:
            outputs = self._outputs(member)
            predicted = self._linearization.predictions(member.step)["linearized"]
            tensors = {"network": outputs, "linearized": predicted, "initial": self._linearization.f0_x}
            predictions = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
            for name in ("network", "linearized"):
                record(f"ntk/{name}_predictions", predictions[name])
            gap = member.recorder.series("ntk/linearized_gap")
            self.draw(member, "ntk/linearization", draw_linearization, *gap, **predictions, **last)

    def _inputs(self, member: Member) -> Tensor:
        return member.tensors.x_train[: self.settings.n_samples]

    def _test_inputs(self, member: Member) -> Tensor:
        return member.tensors.x_test[: self.settings.n_test]

    def _targets(self, member: Member) -> Tensor:
        """Return the targets (N, K) of the rows used."""
        y = member.tensors.y_train[: self.settings.n_samples]
        if member.loss.error is None:
            return y
        outputs = self._initial_kernel.shape[-1]
        return F.one_hot(y, outputs).to(self._initial_kernel.dtype) - 1 / outputs

    @torch.no_grad()
    def _outputs(self, member: Member) -> Tensor:
        outputs: Tensor = member.network(self._test_inputs(member))
        return outputs

    def _present_kernel(self, member: Member) -> Tensor:
        """Return the kernel of the network as it is now, computed once a step."""
        if self._kernel[0] != member.step:
            self._kernel = member.step, empirical_ntk(member.network, self._inputs(member))
        return self._kernel[1]


def _by_target(targets: Tensor) -> Tensor:
    """Return the rows in an order that puts like targets together."""
    return (
        targets.argmax(dim=1).sort(stable=True).indices if targets.shape[1] > 1 else targets[:, 0].argsort()
    )
