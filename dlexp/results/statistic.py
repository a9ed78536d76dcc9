"""What a statistic of a sweep is: its words, its estimate, its check against the sweep.

A statistic is a function of means over replicates, which is what the bootstrap resamples: of one number a
replicate (:class:`PerReplicate`), or of a mean curve (:class:`OfMeanCurve`). A study's own is a frozen
dataclass that derives from one of these, as those of :mod:`dlexp.results.statistics` do.
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, ClassVar

import numpy as np

from dlexp.results.bootstrap import Array, Interval, interval
from dlexp.results.seeds import is_seed
from dlexp.results.summary import sort_key
from dlexp.results.table import Table, is_same, listed, matches

Where = Mapping[str, Any]
_MOST_VALUES = 8  # named in a sentence


class ClaimError(ValueError):
    """A claim or a statistic that says nothing; the message is a sentence that says why."""


@dataclass(frozen=True)
class Term:
    """A metric of the runs whose settings are those of `where`; a list there means any of its values.

    Raises:
        ClaimError: the metric is no name, or `where` names no settings or a seed.
    """

    metric: str
    where: Where = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not self.metric.strip():
            raise ClaimError(f"metric={self.metric!r} is not allowed: it must be a metric's name.")
        if not isinstance(self.where, Mapping):
            raise ClaimError(
                f"where={self.where!r} is not allowed: it must be a mapping of settings to values."
            )
        for key, value in self.where.items():
            if is_seed(key):
                raise ClaimError(f"where {key}={value!r} is not allowed: seeds are never selected.")
            values = listed(value)
            if not values or not all(
                entry is None or isinstance(entry, str | int | float) for entry in values
            ):
                raise ClaimError(
                    f"where {key}={value!r} is not allowed: it must be a value or a list of values."
                )

    def as_data(self) -> dict[str, Any]:
        """Return ``{metric, where}``."""
        return {"metric": self.metric, "where": {key: _plain(value) for key, value in self.where.items()}}

    @property
    def label(self) -> str:
        """The metric with its settings in words: ``test/loss [arm=width]``."""
        settings = (f"{key}={'|'.join(map(_text, listed(value)))}" for key, value in self.where.items())
        return f"{self.metric} [{', '.join(settings)}]" if self.where else self.metric

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True)
class Replicates:
    """The numbers that a statistic is computed from: a row a replicate, a column a term or point of a curve.

    `values` and `positions` have the shape (replicates, columns); terms have the position 0. Values may be
    infinite (diverged runs), never NaN. `labels` name the rows: seeds. `levels` are the numbers of values of
    each source of randomness; of several (crossed seeds) the rows are all combinations, the last one fastest.
    """

    labels: tuple[int | str, ...]
    values: Array
    positions: Array
    levels: tuple[int, ...]

    @property
    def n(self) -> int:
        """How many independent replicates there are: of crossed seeds those of the one with the fewest."""
        return min(self.levels)


@dataclass(frozen=True)
class Estimated:
    """A statistic, its 95 % interval, and each replicate's own value where it is a mean of such."""

    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    values: Mapping[int | str, float] = field(default_factory=dict)


class Statistic(ABC):
    """A number computed from a sweep's table.

    Subclasses are frozen dataclasses, so that two statistics are equal if they say the same.
    """

    kind: ClassVar[str]
    defined: ClassVar[str]  # when the statistic has a value, as the end of a sentence
    logarithmic: ClassVar[bool] = False  # whether what is averaged are logarithms
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)  # to which the interval is cut
    on_grid: ClassVar[bool] = False  # whether it is one of a curve's positions
    along: str | None = None  # of a curve: the setting or metric that orders its points
    fewest: ClassVar[int] = 1  # the fewest points of a curve for which it can come out either way

    @property
    @abstractmethod
    def terms(self) -> "tuple[Term | float, ...]":
        """The metrics and numbers that it is computed from; of a curve one."""

    @abstractmethod
    def estimate(self, replicates: Replicates) -> Estimated:
        """Return the estimate and its interval; NaN where it cannot be computed, never an error."""

    @abstractmethod
    def as_data(self) -> dict[str, Any]:
        """Return the statistic as plain data, with its `kind`."""

    def unreached(self, replicates: Replicates, region: tuple[float, float]) -> str | None:
        """Say why no replicates like these could decide whether it lies in a region, if so."""
        if not self.on_grid:
            return None
        at = _mean_positions(replicates)
        is_within = (region[0] <= at) & (at <= region[1])
        return None if is_within.any() else "No point of the curve lies in the region."

    def problems(self, table: Table) -> Iterator[str]:
        """Yield a sentence for each metric, key or value that no job of a sweep has.

        The table may hold jobs that have not begun: their settings are checked, and metrics where a run is
        done.
        """
        for term in self.terms:
            if isinstance(term, Term):
                yield from _where_problems(term, table)
        metrics = {name: None for run in table.done.rows for name in run.metrics}
        settings = {key: None for run in table.rows for key in run.settings}
        if metrics:
            for term in self.terms:
                if isinstance(term, Term) and term.metric not in metrics:
                    yield f"No run has the metric {term.metric}{_hint(term.metric, metrics)}."
        if self.along is not None and self.along not in settings and metrics and self.along not in metrics:
            hint = _hint(self.along, {**settings, **metrics})
            yield f"No run has the setting or metric {self.along}{hint}."

    def _shown(self, found: Interval, bounds: tuple[float, float]) -> Interval:
        """Return an interval cut to bounds, and not in logarithms."""
        ends = np.clip(found, *bounds)
        estimate, low, high = map(float, np.exp(ends) if self.logarithmic else ends)
        return estimate, low, high


class PerReplicate(Statistic):
    """A statistic that is the mean of one number a replicate."""

    @abstractmethod
    def of_each(self, values: Array, positions: Array) -> Array:
        """Return each replicate's number, shape (replicates,), from arrays (replicates, columns)."""

    def estimate(self, replicates: Replicates) -> Estimated:
        """Return the mean over replicates, with its interval cut to `bounds`."""
        if not replicates.values.size:
            return Estimated()
        with np.errstate(all="ignore"):
            each = self.of_each(replicates.values, replicates.positions)
            # Numbers too large to subtract are not infinite.
            each = np.where(np.isinf(each) & np.isfinite(replicates.values).all(axis=1), np.nan, each)
            found = interval(each[:, None], lambda means: means[:, 0], levels=replicates.levels)
            found = self._shown(found, self.bounds)
            each = np.exp(each) if self.logarithmic else each
        return Estimated(*found, dict(zip(replicates.labels, map(float, each), strict=True)))


class OfMeanCurve(Statistic):
    """A statistic of the mean of the replicates' curves."""

    @abstractmethod
    def of_means(self, means: Array, positions: Array) -> Array:
        """Return each curve's number, shape (curves,), of arrays (curves, points) and (points,)."""

    def estimate(self, replicates: Replicates) -> Estimated:
        """Return the statistic of the mean curve; no replicate has a value of its own."""
        if not replicates.values.size:
            return Estimated()
        at = _mean_positions(replicates)
        with np.errstate(all="ignore"):
            found = interval(
                replicates.values,
                lambda means: self.of_means(means, at),
                on_grid=self.on_grid,
                levels=replicates.levels,
            )
            bounds = (float(at.min()), float(at.max())) if self.on_grid else self.bounds
            return Estimated(*self._shown(found, bounds))


def _mean_positions(replicates: Replicates) -> Array:
    with np.errstate(over="ignore"):
        at: Array = replicates.positions.mean(axis=0)
    return at


def _where_problems(term: Term, table: Table) -> Iterator[str]:
    """Yield what of a term's settings no job has: a key, a value, or the values together."""
    rows = [run for run in table.rows if run.settings]
    keys = {key: None for run in rows for key in run.settings}
    is_sound = True
    for key, wanted in term.where.items():
        if key not in keys and None in listed(wanted):
            continue
        if key not in keys:
            yield f"No job has the setting {key}{_hint(key, keys)}."
            is_sound = False
            continue
        found = sorted({run.settings.get(key) for run in rows}, key=sort_key)
        absent = [value for value in listed(wanted) if not any(is_same(other, value) for other in found)]
        if len(absent) == len(listed(wanted)) or (absent and key == "arm"):
            there = ", ".join(map(_text, found[:_MOST_VALUES])) + (
                ", ..." if len(found) > _MOST_VALUES else ""
            )
            yield f"No job has {key}={'|'.join(map(_text, absent))}; there are jobs with {there}."
            is_sound = False
    if is_sound and not any(matches(run, term.where) for run in rows):
        yield f"There are no runs for {term.label}."


def _hint(name: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(name, list(known), 1)
    return f"; the nearest is {close[0]}" if close else ""


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) or not isinstance(value, Iterable) else list(value)


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
