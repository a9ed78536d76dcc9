"""A measure of one's own that is one function."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from dlexp.callbacks.base import MeasureCallback
from dlexp.config.callbacks import FunctionSettings
from dlexp.config.objects import locate
from dlexp.train.member import Member


class Function(MeasureCallback):
    """Records what a function says of a member: of its ``network``, its ``loss`` and data (``tensors``).

    Args:
        function: the dotted path of ``f(member) -> number``, recorded as ``function/f``, or
            ``-> {name: number}``, recorded by these names.
    """

    name = "function"
    settings_model: ClassVar = FunctionSettings

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.function = locate("callbacks.function.function", self.settings.function)

    def measure(self, member: Member) -> Mapping[str, float]:
        """Call the function."""
        found = self.function(member)
        named = found if isinstance(found, Mapping) else {f"function/{self.function.__name__}": found}
        return {name: float(v.detach() if isinstance(v, Tensor) else v) for name, v in named.items()}

    def try_on(self, trial: Member) -> None:
        """Call the function on a few rows: what it cannot do it says before training."""
        self.measure(trial)
