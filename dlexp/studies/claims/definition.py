"""What a claim is: a statistic of a sweep's results, the region that theory predicts for it, its controls."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["supported", "not supported", "inconclusive"]
SUPPORTED: Verdict = "supported"
NOT_SUPPORTED: Verdict = "not supported"
INCONCLUSIVE: Verdict = "inconclusive"

REFUSE = "refuse"
LEAVE_OUT = "leave_out"

# The keys of each kind of statistic: one or two terms, or a curve.
TERM_KINDS = {"value": ("of",), "difference": ("of", "minus"), "ratio": ("of", "to")}
CURVE_KEYS = ("metric", "along", "where")
# The fewest points for which each statistic of a curve can come out either way.
FEWEST_POINTS = {"slope": 2, "peak": 3, "peak_ratio": 2, "rank_correlation": 3}


@dataclass(frozen=True)
class Term:
    """A metric of the runs whose configuration has, for each key of `where`, one of the values listed."""

    metric: str
    where: Mapping[str, tuple[Any, ...]]

    def __str__(self) -> str:
        settings = (f"{key}={'|'.join(map(_text, values))}" for key, values in self.where.items())
        return f"{self.metric} [{', '.join(settings)}]" if self.where else self.metric


@dataclass(frozen=True)
class Statistic:
    """A number computed from the table of replicates.

    Of the kinds `value`, `difference` and `ratio`, `terms` are one or two metrics or numbers. Of the kinds of
    a curve there is one term, and `along` names what its points are ordered by: a setting or another metric.
    """

    kind: str
    terms: tuple[Term | float, ...]
    along: str | None = None

    def __str__(self) -> str:
        first, last = (_text(term) for term in (self.terms[0], self.terms[-1]))
        return {
            "value": f"mean of {first}",
            "difference": f"mean of the paired differences {first} - {last}",
            "ratio": f"geometric mean of the paired ratios {first} / {last}",
            "slope": f"mean slope of log {first} against log {self.along}",
            "peak": f"{self.along} at the maximum of the mean curve of {first}",
            "peak_ratio": f"maximum of the mean curve of {first} over its value at the largest {self.along}",
            "rank_correlation": f"mean Spearman correlation of {first} with {self.along}",
        }[self.kind]


@dataclass(frozen=True)
class Claim:
    """A claim as its study file states it; `region` is closed, infinite at an open end.

    `diverged` says how a diverged run counts: `refuse` (the claim cannot be decided), `leave_out` (its seed
    is not used) or a number, infinity too, that stands for its value.
    """

    name: str
    text: str
    source: str
    statistic: Statistic
    region: tuple[float, float]
    scope: str
    controls: tuple[str, ...] = ()
    replicates: int = 5
    diverged: str | float = REFUSE
    figure: str | None = None


@dataclass(frozen=True)
class Finding:
    """What the runs say of a claim.

    `estimate`, `low` and `high` (the 95 % interval) are NaN where they cannot be computed, infinite where
    diverged runs count as infinite. `n` seeds were used, `replicates` are needed. `values` has each seed's
    own value, for the kinds of statistic that are a mean of such; it is empty for `peak` and `peak_ratio`.
    """

    name: str
    text: str
    source: str
    statistic: str
    estimate: float
    low: float
    high: float
    region: tuple[float, float]
    n: int
    replicates: int
    verdict: Verdict
    reason: str
    controls: tuple[tuple[str, Verdict], ...]
    is_control: bool
    scope: str
    figure: str | None
    values: Mapping[int, float]


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
