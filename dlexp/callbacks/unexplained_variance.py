"""The test error in units of the targets' variance, comparable between targets of different size."""

from collections.abc import Mapping
from typing import Any

from dlexp.callbacks.base import MeasureCallback
from dlexp.train.member import Member
from dlexp.train.plan import Plan


class UnexplainedVariance(MeasureCallback):
    """Records ``test/unexplained_variance``: on the test set, mean |f - y|^2 over mean |y - mean y|^2.

    1 minus the coefficient of determination: 0 for a perfect network, 1 for the best constant. The settings
    are those of the schedule; a classification is refused.
    """

    name = "unexplained_variance"

    def find_problems(self, config: Mapping[str, Any], plan: Plan) -> list[str]:
        """Return what leaves the targets without a variance."""
        task = config["data"]["task"]
        if task == "regression":
            return []
        return [f"data.task={task} is not allowed: callbacks.unexplained_variance is for a regression."]

    def measure(self, module: Member) -> Mapping[str, float]:
        """Return the unexplained share of the variance."""
        x, y = module.tensors.x_test, module.tensors.y_test
        error = (module.network(x).detach() - y).square().sum()
        return {"test/unexplained_variance": (error / (y - y.mean(dim=0)).square().sum()).item()}
