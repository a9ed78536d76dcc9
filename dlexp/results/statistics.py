"""The statistics that claims are made of: each one class, called by its name in lower case.

Ratios and slopes are taken in logarithms. A statistic that is not defined (the logarithm of a number that is
not positive, ranks of tied values, two maxima) is NaN.

Example:
    >>> narrow, wide = (value("test/loss", {"model.width": width}) for width in (5, 200))
    >>> print(ratio(of=narrow, to=wide))
    geometric mean of the paired ratios test/loss [model.width=5] / test/loss [model.width=200]
    >>> print(slope("ntk/drift", along="model.width", where={"arm": "erf"}))
    mean slope of log ntk/drift [arm=erf] against log model.width
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from dlexp.results.bootstrap import Array
from dlexp.results.statistic import ClaimError, OfMeanCurve, PerReplicate, Statistic, Term
from dlexp.results.summary import is_number


@dataclass(frozen=True)
class Value(Term, PerReplicate):
    """The mean of a metric; as the side of a ratio or a difference, the metric itself."""

    kind: ClassVar[str] = "value"
    defined: ClassVar[str] = "the values are too large, or infinite with both signs"

    @property
    def terms(self) -> tuple[Term | float, ...]:
        """The metric."""
        return (self,)

    def of_each(self, values: Array, positions: Array) -> Array:
        """Return the values."""
        return values[:, 0]

    def as_data(self) -> dict[str, Any]:
        """Return ``{kind, of: {metric, where}}``."""
        return {"kind": self.kind, "of": super().as_data()}

    def __str__(self) -> str:
        return f"mean of {self.label}"


class _OfTwo(PerReplicate):
    """A statistic whose fields are two sides, each a metric or a number, one at least a metric."""

    words: ClassVar[str]  # with a place for each side

    def __post_init__(self) -> None:
        for side in vars(self).values():
            if not isinstance(side, Value) and not (is_number(side) and math.isfinite(side)):
                raise ClaimError(
                    f"{side!r} is not allowed: it must be a finite number or value(metric, where)."
                )
        if not any(isinstance(side, Value) for side in vars(self).values()):
            raise ClaimError(
                "A statistic of numbers alone measures nothing: one side must be value(metric, where)."
            )

    @property
    def terms(self) -> tuple[Term | float, ...]:
        """The two sides."""
        return tuple(side if isinstance(side, Value) else float(side) for side in vars(self).values())

    def as_data(self) -> dict[str, Any]:
        """Return the kind and the sides, metrics as ``{metric, where}``."""
        sides = {
            key: Term.as_data(side) if isinstance(side, Value) else side for key, side in vars(self).items()
        }
        return {"kind": self.kind, **sides}

    def __str__(self) -> str:
        sides = (side.label if isinstance(side, Value) else f"{side:g}" for side in vars(self).values())
        return self.words.format(*sides)


@dataclass(frozen=True, kw_only=True)
class Difference(_OfTwo):
    """The mean of the paired differences of two metrics, or of a metric and a number."""

    of: Value | float
    minus: Value | float
    kind: ClassVar[str] = "difference"
    words: ClassVar[str] = "mean of the paired differences {} - {}"
    defined: ClassVar[str] = "the values are too large, or infinite on both sides"

    def of_each(self, values: Array, positions: Array) -> Array:
        """Return the first side minus the second."""
        return values[:, 0] - values[:, 1]


@dataclass(frozen=True, kw_only=True)
class Ratio(_OfTwo):
    """The geometric mean of the paired ratios of two metrics, or of a metric and a number."""

    of: Value | float
    to: Value | float
    kind: ClassVar[str] = "ratio"
    words: ClassVar[str] = "geometric mean of the paired ratios {} / {}"
    defined: ClassVar[str] = "all values must be positive, and not infinite on both sides"
    logarithmic: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for side in (self.of, self.to):
            if is_number(side) and side <= 0:
                raise ClaimError(f"ratio: {side!r} is not allowed: the number of a ratio must be above 0.")

    def of_each(self, values: Array, positions: Array) -> Array:
        """Return the logarithm of the first side over the second."""
        logs = _log(values)
        return logs[:, 0] - logs[:, 1]


@dataclass(frozen=True)
class _Curve(Term, Statistic):
    """A metric along a setting or along another metric, in the runs that `where` selects."""

    along: str = field(kw_only=True)
    words: ClassVar[str]  # with the fields `curve` and `along`

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.along, str) or not self.along.strip():
            raise ClaimError(f"along={self.along!r} is not allowed: it must be a setting or a metric.")

    @property
    def terms(self) -> tuple[Term | float, ...]:
        """The metric."""
        return (self,)

    def as_data(self) -> dict[str, Any]:
        """Return ``{kind, metric, along, where}``."""
        return {"kind": self.kind, "along": self.along, **super().as_data()}

    def __str__(self) -> str:
        return self.words.format(curve=self.label, along=self.along)


@dataclass(frozen=True)
class Slope(_Curve, PerReplicate):
    """The mean least-squares slope of the logarithm of a metric against the logarithm of what it is along."""

    kind: ClassVar[str] = "slope"
    words: ClassVar[str] = "mean slope of log {curve} against log {along}"
    defined: ClassVar[str] = (
        "all values and positions must be positive and finite, and the positions must differ"
    )
    fewest: ClassVar[int] = 2

    def of_each(self, values: Array, positions: Array) -> Array:
        """Return each curve's slope."""
        return _centred_product(_log(positions), _log(values), lambda x, y: (x**2).sum(axis=1))


@dataclass(frozen=True)
class RankCorrelation(_Curve, PerReplicate):
    """The mean Spearman correlation of a metric with what it is along; ties have their mean rank."""

    kind: ClassVar[str] = "rank_correlation"
    words: ClassVar[str] = "mean Spearman correlation of {curve} with {along}"
    defined: ClassVar[str] = "all values are tied, or all positions"
    bounds: ClassVar[tuple[float, float]] = (-1, 1)
    fewest: ClassVar[int] = 3

    def of_each(self, values: Array, positions: Array) -> Array:
        """Return each curve's correlation."""
        return _centred_product(
            _ranks(positions),
            _ranks(values),
            lambda x, y: np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1)),
        )


@dataclass(frozen=True)
class Peak(_Curve, OfMeanCurve):
    """Where the mean curve has its maximum."""

    kind: ClassVar[str] = "peak"
    words: ClassVar[str] = "{along} at the maximum of the mean curve of {curve}"
    defined: ClassVar[str] = "the mean curve has no single maximum"
    on_grid: ClassVar[bool] = True
    fewest: ClassVar[int] = 3

    def of_means(self, means: Array, positions: Array) -> Array:
        """Return the position of each curve's maximum, NaN where two points share it."""
        return _place_of_maximum(means, positions)


@dataclass(frozen=True)
class Valley(_Curve, OfMeanCurve):
    """Where the mean curve has its minimum."""

    kind: ClassVar[str] = "valley"
    words: ClassVar[str] = "{along} at the minimum of the mean curve of {curve}"
    defined: ClassVar[str] = "the mean curve has no single minimum"
    on_grid: ClassVar[bool] = True
    fewest: ClassVar[int] = 3

    def of_means(self, means: Array, positions: Array) -> Array:
        """Return the position of each curve's minimum, NaN where two points share it."""
        return _place_of_maximum(-means, positions)


@dataclass(frozen=True)
class PeakRatio(_Curve, OfMeanCurve):
    """The maximum of the mean curve over its value at the end."""

    kind: ClassVar[str] = "peak_ratio"
    words: ClassVar[str] = "maximum of the mean curve of {curve} over its value at the largest {along}"
    defined: ClassVar[str] = (
        "the mean curve must be positive at its maximum and at its end, and finite at one of them"
    )
    logarithmic: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0, math.inf)
    fewest: ClassVar[int] = 2

    def of_means(self, means: Array, positions: Array) -> Array:
        """Return the logarithm of each curve's maximum over its last value."""
        return _log(means.max(axis=1)) - _log(means[:, positions.argmax()])


value = Value
difference = Difference
ratio = Ratio
slope = Slope
rank_correlation = RankCorrelation
peak = Peak
valley = Valley
peak_ratio = PeakRatio

KINDS: Mapping[str, type[Statistic]] = {
    each.kind: each for each in (Value, Difference, Ratio, Slope, RankCorrelation, Peak, Valley, PeakRatio)
}


def _place_of_maximum(means: Array, positions: Array) -> Array:
    is_single = (means == means.max(axis=1, keepdims=True)).sum(axis=1) == 1
    return np.where(is_single, positions[means.argmax(axis=1)], np.nan)


def _log(values: Array) -> Array:
    return np.log(np.where(values > 0, values, np.nan))


def _ranks(rows: Array) -> Array:
    others, own = rows[:, None, :], rows[:, :, None]
    ranks: Array = (others < own).sum(axis=2) + ((others == own).sum(axis=2) + 1) / 2
    return ranks


def _centred_product(x: Array, y: Array, norm: Callable[[Array, Array], Array]) -> Array:
    tied = np.ptp(x, axis=1) == 0
    x, y = (part - part.mean(axis=1, keepdims=True) for part in (x, y))
    divisor = norm(x, y)
    return np.where(tied | (divisor == 0), np.nan, (x * y).sum(axis=1) / divisor)
