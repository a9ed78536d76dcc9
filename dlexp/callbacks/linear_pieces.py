"""Of how many linear pieces a ReLU network on the line is made."""

import math
from collections.abc import Mapping
from typing import Any

from dlexp.callbacks.base import MeasureCallback
from dlexp.measures.approximation import linear_pieces
from dlexp.train.build import network_settings
from dlexp.train.member import Member, make_network
from dlexp.train.plan import Plan


class LinearPiecesCount(MeasureCallback):
    """Records ``approximation/linear_pieces``: the number of linear pieces on (lower, upper).

    The count is exact. The settings are those of the schedule. A network with more than one input or that is
    no chain of linear layers and ReLUs is refused. Raises ``ValueError`` unless lower < upper.
    """

    name = "linear_pieces"

    def __init__(self, *, lower: float = 0.0, upper: float = 1.0, **schedule: Any) -> None:
        super().__init__(**schedule)
        if not lower < upper:
            raise ValueError(f"lower={lower} is not allowed: it must be below upper={upper}")
        self.lower, self.upper = lower, upper

    def find_problems(self, config: Mapping[str, Any], plan: Plan) -> list[str]:
        """Return why the pieces of the network cannot be counted."""
        network = make_network(network_settings(config))
        try:
            # The shortest interval there is: whether pieces can be counted, without counting many.
            linear_pieces(network, lower=self.lower, upper=math.nextafter(self.lower, math.inf))
        except ValueError as error:
            return [f"callbacks.linear_pieces: {error}."]
        return []

    def measure(self, module: Member) -> Mapping[str, float]:
        """Return the number of pieces of the present network."""
        pieces = linear_pieces(module.network, lower=self.lower, upper=self.upper)
        return {"approximation/linear_pieces": pieces.count}
