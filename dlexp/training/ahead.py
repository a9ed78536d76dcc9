"""Networks trained ahead of their jobs: where a job asks whether somebody has trained its network already.

Whoever trains many jobs' networks at once leaves each here; the job then only writes down what came of it.
Training does not know who that is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from dlexp.training.recorder import Recorder


@dataclass
class Trained:
    """What came of training one job's network.

    Attributes:
        outcome: ``completed``, ``converged`` or ``diverged``.
        step, epoch: where it ended.
        state: of the network.
        hyperparameters: of the LightningModule that holds such a network.
        recorder: what was measured.
        device: that trained it.
        error: what a callback raised, if one did.
        remark: for the job's log.
        duration_s: the job's share of the time it took.
    """

    outcome: str
    step: int
    epoch: int
    state: "Mapping[str, Tensor]"
    hyperparameters: Mapping[str, Any]
    recorder: "Recorder"
    device: str
    error: Exception | None = None
    remark: str = ""
    duration_s: float = 0.0


_trained: dict[str, Trained] = {}
_reasons: dict[str, str] = {}


def leave(identity: str, trained: Trained) -> None:
    """Leave what came of the job with this identity."""
    _trained[identity] = trained


def take(identity: str) -> Trained | None:
    """Return what came of the job with this identity, once; None if nobody has trained it."""
    return _trained.pop(identity, None)


def forget() -> None:
    """Drop what nobody has taken."""
    _trained.clear()


def explain(identity: str, reason: str) -> None:
    """Say why the job with this identity was not trained ahead, for its log."""
    _reasons[identity] = reason


def explanation(identity: str) -> str | None:
    """Return why the job with this identity was not trained ahead, once."""
    return _reasons.pop(identity, None)
