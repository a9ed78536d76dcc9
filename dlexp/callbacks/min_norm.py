"""How far a model that is linear in its parameters is from the least-squares solution of least norm."""

from collections.abc import Mapping

from dlexp.callbacks.base import MeasureCallback
from dlexp.config.least_squares import MinimumNormSettings
from dlexp.measures.functional import parameter_vector
from dlexp.measures.risk import linear_system, minimum_norm_distance, minimum_norm_solution
from dlexp.train.member import Member


class MinimumNorm(MeasureCallback):
    """Records where the weights lie relative to ``pinv(X) y``, X the Jacobian of the training outputs.

    Metrics ``min_norm/<field>``, the fields of
    :class:`~dlexp.measures.risk.minimum_norm.MinimumNormDistance`; the array ``min_norm/solution``, in the
    order of ``functional.parameter_vector``. ``min_norm/distance_to_limit`` takes the network at the start of
    training as where gradient descent began. The settings are those of the schedule.

    A network that is not linear in its trainable parameters and a loss that is no squared error are refused.
    """

    name = "min_norm"
    settings_model = MinimumNormSettings

    def begin(self, member: Member) -> None:
        """Find the linear system, which training does not change, and keep the initial weights."""
        self._system = linear_system(member.network, member.tensors.x_train, member.tensors.y_train)
        self._initial_weights = parameter_vector(member.network)

    def measure(self, member: Member) -> Mapping[str, float]:
        """Return the distances and norms of the present weights."""
        weights = parameter_vector(member.network)
        found = minimum_norm_distance(*self._system, weights, self._initial_weights)
        return {f"min_norm/{name}": value for name, value in found._asdict().items()}

    def finish(self, member: Member) -> None:
        """Keep the minimum-norm solution."""
        member.recorder.record_array("min_norm/solution", minimum_norm_solution(*self._system).cpu())
