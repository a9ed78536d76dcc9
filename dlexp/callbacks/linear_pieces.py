"""Of how many linear pieces a ReLU network on the line is made."""

import math
from collections.abc import Mapping

from dlexp.callbacks.base import MeasureCallback
from dlexp.config.callbacks import LinearPiecesSettings
from dlexp.measures.linear_pieces import linear_pieces
from dlexp.train.member import Member


class LinearPiecesCount(MeasureCallback):
    """Records ``approximation/linear_pieces``: the number of linear pieces on (lower, upper).

    The count is exact. A network with more than one input or that is no chain of linear layers and ReLUs is
    refused.

    Args:
        lower, upper: ends of the interval.
        schedule: arguments of :class:`~dlexp.callbacks.base.MeasureCallback`.
    """

    name = "linear_pieces"
    settings_model = LinearPiecesSettings
    settings: LinearPiecesSettings

    def try_on(self, trial: Member) -> None:
        """Count on the shortest interval there is, which takes no time."""
        lower = self.settings.lower
        linear_pieces(trial.network, lower=lower, upper=math.nextafter(lower, math.inf))

    def measure(self, member: Member) -> Mapping[str, float]:
        """Return the number of pieces of the present network."""
        pieces = linear_pieces(member.network, lower=self.settings.lower, upper=self.settings.upper)
        return {"approximation/linear_pieces": pieces.count}
