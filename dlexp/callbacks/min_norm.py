"""How far a model that is linear in its parameters is from the least-squares solution of least norm."""

from collections.abc import Mapping
from typing import Any

import torch

from dlexp.callbacks.base import MeasureCallback
from dlexp.measures.functional import parameter_vector
from dlexp.measures.risk import linear_system, minimum_norm_distance, minimum_norm_solution
from dlexp.train.build import network_settings
from dlexp.train.member import Member, evaluation_mode, make_network
from dlexp.train.plan import Plan

SQUARED_ERRORS = ("mse", "half_mse")


class MinimumNorm(MeasureCallback):
    """Records where the weights lie relative to ``pinv(X) y``, X the Jacobian of the training outputs.

    Metrics ``min_norm/<field>``, the fields of
    :class:`~dlexp.measures.risk.minimum_norm.MinimumNormDistance`; the array ``min_norm/solution``, in the
    order of ``functional.parameter_vector``. ``min_norm/distance_to_limit`` takes the network at the start of
    training as where gradient descent began. The settings are those of the schedule.

    A network that is not linear in its trainable parameters and a loss that is no squared error are refused.
    """

    name = "min_norm"

    def find_problems(self, config: Mapping[str, Any], plan: Plan) -> list[str]:
        """Return what leaves the problem without a least-squares solution."""
        loss, data = config["training"]["loss"], config["data"]
        if loss not in SQUARED_ERRORS:
            return [
                f"training.loss={loss} is not allowed: callbacks.min_norm measures least squares, "
                f"{' or '.join(SQUARED_ERRORS)}."
            ]
        # Inputs without structure tell whether the network is linear in its parameters.
        inputs = torch.randn(8, data["input_dim"], generator=self.generator())
        try:
            linear_system(
                make_network(network_settings(config)).eval(), inputs, torch.zeros(8, data["output_dim"])
            )
        except ValueError as error:
            return [f"callbacks.min_norm: {error}."]
        return []

    def begin(self, module: Member) -> None:
        """Find the linear system, which training does not change, and keep the initial weights."""
        with self._timed(), evaluation_mode(module.network):
            self._system = linear_system(module.network, module.tensors.x_train, module.tensors.y_train)
        self._initial_weights = parameter_vector(module.network)

    def measure(self, module: Member) -> Mapping[str, float]:
        """Return the distances and norms of the present weights."""
        weights = parameter_vector(module.network)
        found = minimum_norm_distance(*self._system, weights, self._initial_weights)
        return {f"min_norm/{name}": value for name, value in found._asdict().items()}

    def finish(self, module: Member) -> None:
        """Keep the minimum-norm solution."""
        module.recorder.record_array("min_norm/solution", minimum_norm_solution(*self._system).cpu())
