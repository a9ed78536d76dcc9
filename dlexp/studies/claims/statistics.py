"""The kinds of statistics, each a pure function of a table of replicates.

Every statistic is a function of means over seeds: of one number a seed (`PER_SEED`), or of a curve
(`OF_CURVE`). That is what the bootstrap resamples. Ratios are averaged and widened in logarithms. A statistic
that is not defined (the logarithm of a number that is not positive, ranks of tied values, two maxima) is NaN.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dlexp.studies.claims.bootstrap import Array, Interval, interval


@dataclass(frozen=True)
class Table:
    """Replicates: row i is that of `seeds[i]`, the columns are the terms or the points of the curve.

    `values` and `positions` have the shape (seeds, columns); terms have the position 0. Values may be
    infinite (diverged runs), never NaN.
    """

    seeds: tuple[int, ...]
    values: Array
    positions: Array


@dataclass(frozen=True)
class Estimated:
    """A statistic, its 95 % interval, and each seed's own value where the statistic is a mean of such."""

    estimate: float
    low: float
    high: float
    values: Mapping[int, float]


def evaluate(kind: str, table: Table) -> Estimated:
    """Return a statistic of the replicates; NaN where it cannot be computed, never an error or a warning.

    The interval is cut to what the statistic can be: correlations lie in [-1, 1], a peak is at least as high
    as the curve's end, its position is among the curve's.
    """
    if not table.seeds or table.values.shape[1] == 0:
        return Estimated(math.nan, math.nan, math.nan, {})
    with np.errstate(all="ignore"):
        if kind in PER_SEED:
            return _evaluate_per_seed(kind, table)
        return _evaluate_curve(kind, table)


def _evaluate_per_seed(kind: str, table: Table) -> Estimated:
    values = PER_SEED[kind](table)
    # Numbers too large to subtract are not infinite.
    values = np.where(np.isinf(values) & np.isfinite(table.values).all(axis=1), np.nan, values)
    found = interval(values[:, None], lambda means: means[:, 0])
    if kind == "ratio":
        found, values = _exp(found), np.exp(values)
    elif kind == "rank_correlation":
        found = _clip(found, -1, 1)
    return Estimated(*found, {seed: float(value) for seed, value in zip(table.seeds, values, strict=True)})


def _evaluate_curve(kind: str, table: Table) -> Estimated:
    positions = table.positions.mean(axis=0)
    found = interval(table.values, lambda means: OF_CURVE[kind](means, positions), on_grid=kind == "peak")
    if kind == "peak":
        found = _clip(found, positions.min(), positions.max())
    else:
        found = _exp(_clip(found, 0, math.inf))
    return Estimated(*found, {})


def difference(table: Table) -> Array:
    """Return each seed's first term minus its second, shape (seeds,)."""
    return table.values[:, 0] - table.values[:, 1]


def log_ratio(table: Table) -> Array:
    """Return the logarithm of each seed's first term over its second, shape (seeds,)."""
    logs = _log(table.values)
    return logs[:, 0] - logs[:, 1]


def slope(table: Table) -> Array:
    """Return each seed's least-squares slope of log value against log position, shape (seeds,)."""
    return _centred_product(_log(table.positions), _log(table.values), lambda x, y: (x**2).sum(axis=1))


def rank_correlation(table: Table) -> Array:
    """Return each seed's Spearman correlation of value with position, ties at mean ranks, shape (seeds,)."""
    positions, values = _ranks(table.positions), _ranks(table.values)
    return _centred_product(positions, values, lambda x, y: np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1)))


def _ranks(rows: Array) -> Array:
    others, own = rows[:, None, :], rows[:, :, None]
    ranks: Array = (others < own).sum(axis=2) + ((others == own).sum(axis=2) + 1) / 2
    return ranks


def _centred_product(x: Array, y: Array, norm: Callable[[Array, Array], Array]) -> Array:
    tied = np.ptp(x, axis=1) == 0
    x, y = (part - part.mean(axis=1, keepdims=True) for part in (x, y))
    divisor = norm(x, y)
    return np.where(tied | (divisor == 0), np.nan, (x * y).sum(axis=1) / divisor)


def peak(means: Array, positions: Array) -> Array:
    """Return the position of each curve's maximum, NaN where two points share it; shape (curves,)."""
    maxima = means.max(axis=1, keepdims=True)
    return np.where((means == maxima).sum(axis=1) == 1, positions[means.argmax(axis=1)], np.nan)


def log_peak_ratio(means: Array, positions: Array) -> Array:
    """Return the logarithm of each curve's maximum over its last value, shape (curves,)."""
    return _log(means.max(axis=1)) - _log(means[:, positions.argmax()])


# What is averaged over seeds, and (of a curve) what is made of the averages.
PER_SEED: Mapping[str, Callable[[Table], Array]] = {
    "value": lambda table: table.values[:, 0],
    "difference": difference,
    "ratio": log_ratio,
    "slope": slope,
    "rank_correlation": rank_correlation,
}
OF_CURVE: Mapping[str, Callable[[Array, Array], Array]] = {"peak": peak, "peak_ratio": log_peak_ratio}


def _log(values: Array) -> Array:
    return np.log(np.where(values > 0, values, np.nan))


def _exp(found: Interval) -> Interval:
    estimate, low, high = map(float, np.exp(found))
    return estimate, low, high


def _clip(found: Interval, lowest: float, highest: float) -> Interval:
    estimate, low, high = map(float, np.clip(found, lowest, highest))
    return estimate, low, high
