"""The test error in units of the targets' variance, comparable between targets of different size."""

from collections.abc import Mapping

from dlexp.callbacks.base import MeasureCallback
from dlexp.config.least_squares import UnexplainedVarianceSettings
from dlexp.train.member import Member


class UnexplainedVariance(MeasureCallback):
    """Records ``test/unexplained_variance``: on the test set, mean |f - y|^2 over mean |y - mean y|^2.

    1 minus the coefficient of determination: 0 for a perfect network, 1 for the best constant. The settings
    are those of the schedule; a classification is refused.
    """

    name = "unexplained_variance"
    settings_model = UnexplainedVarianceSettings

    def measure(self, member: Member) -> Mapping[str, float]:
        """Return the unexplained share of the variance."""
        x, y = member.tensors.x_test, member.tensors.y_test
        error = (member.network(x).detach() - y).square().sum()
        return {"test/unexplained_variance": (error / (y - y.mean(dim=0)).square().sum()).item()}
