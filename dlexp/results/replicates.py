"""From a table to a statistic's replicates: which runs it is about, and which are missing."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlexp.records.run import DIVERGED, DONE, FAILED, Run
from dlexp.results.seeds import crossed, is_seed
from dlexp.results.statistic import Replicates, Statistic, Term
from dlexp.results.summary import is_number, sort_key, varying_keys
from dlexp.results.table import Table, is_same, listed, matches

_Key = tuple[Any, ...]  # the values of the seeds that tell replicates apart


class ReplicatesError(ValueError):
    """A table of which a statistic's replicates cannot be made; the message is a sentence that says why."""


@dataclass(frozen=True)
class Gathered:
    """The complete replicates, the runs that diverged, and the runs and seeds that are missing."""

    replicates: Replicates
    n_diverged: int = 0
    n_failed: int = 0
    n_unfinished: int = 0
    not_finite: tuple[str, ...] = ()  # in words: finished well, without a finite value
    n_partial: int = 0  # seeds of which a run was not started

    @property
    def lost(self) -> str:
        """What was begun and gave no value, in words: it may have been unlike what is there."""
        counts = ((self.n_failed, "failed"), (self.n_unfinished, "did not finish"))
        return ", ".join([*(f"{count_of(n, 'run')} {what}" for n, what in counts if n), *self.not_finite])


NOTHING = Gathered(Replicates((), np.zeros((0, 0)), np.zeros((0, 0)), (0,)))


@dataclass(frozen=True)
class _Column:
    """A term, or a point of a curve: its run of each replicate."""

    metric: str
    runs: Mapping[_Key, Run]
    along: str | None = None


def gather(statistic: Statistic, table: Table, diverged: str | float) -> Gathered:
    """Return a statistic's replicates: a row for each seed that has a value in all columns.

    The columns of a curve are the points that any seed has, and those that `where` lists for `along`. Runs of
    which no configuration can be read belong to no claim; of an unfinished run a setting that cannot be read
    counts as one that `where` asks for. Of crossed seeds the rows are their combinations.

    Args:
        statistic: what the replicates are for.
        table: the sweep's runs.
        diverged: the number that a diverged run's value counts as; a word: it has none.

    Raises:
        ReplicatesError: no run has what the statistic asks for, or several of a seed have it for one value;
            the curve has too few points, or its positions are not numbers; or crossed seeds are no full grid.
    """
    for problem in statistic.problems(table):
        raise ReplicatesError(problem)
    runs = [run for run in table.rows if run.settings]
    terms = [term for term in statistic.terms if isinstance(term, Term)]
    matched = [run for run in runs if any(matches(run, term.where) for term in terms)]
    matched.sort(key=lambda run: run.run_id)
    ended = [run for run in matched if run.status in (DONE, DIVERGED)]
    if statistic.along is None:
        groups = [[run for run in ended if matches(run, term.where)] for term in terms]
    else:
        groups = _points(statistic, terms[0], matched, ended)
        terms *= len(groups)
    keys = crossed(groups)
    measured = [
        _column(term, group, keys, statistic.along) for term, group in zip(terms, groups, strict=True)
    ]
    numbered = iter(measured)
    columns: Sequence[_Column | float] = measured
    if statistic.along is None:
        columns = [next(numbered) if isinstance(term, Term) else term for term in statistic.terms]
    found = sorted({key for column in measured for key in column.runs})
    complete = [key for key in found if all(key in column.runs for column in measured)]
    cells = np.array([[_cell(column, key, diverged) for column in columns] for key in complete])
    cells = cells.reshape(len(complete), len(columns), 2)
    used = ~np.isnan(cells).any(axis=(1, 2))
    kept = [key for key, is_used in zip(complete, used, strict=True) if is_used]
    stopped = {_key(run, keys) for run in matched if run.status not in (DONE, DIVERGED)}
    return Gathered(
        replicates=Replicates(_labels(kept, keys), cells[used, :, 0], cells[used, :, 1], _levels(kept, keys)),
        n_diverged=sum(run.status == DIVERGED for run in matched),
        n_failed=sum(run.status == FAILED for run in matched),
        n_unfinished=sum(not run.has_result for run in matched),
        not_finite=_not_finite(measured, diverged),
        n_partial=len({*found} - {*complete} - stopped),
    )


def _cell(column: _Column | float, key: _Key, diverged: str | float) -> tuple[float, float]:
    """Return a replicate's value and its position on the curve (0 for a term); NaN does not count."""
    if isinstance(column, float):
        return column, 0.0
    run = column.runs[key]
    position = 0.0
    if column.along is not None:
        position = _finite(run.settings.get(column.along, run.metrics.get(column.along)))
    if run.status == DIVERGED:
        return math.nan if isinstance(diverged, str) else diverged, position
    return _finite(run.metrics.get(column.metric)), position


def _finite(value: float | None) -> float:
    return float(value) if value is not None and math.isfinite(value) else math.nan


def _not_finite(columns: Sequence[_Column], diverged: str | float) -> tuple[str, ...]:
    """Return in words which metrics ended infinite or undefined in runs that should have a value."""
    counts: dict[str, set[str]] = {}
    for column in columns:
        for run in column.runs.values():
            names = [column.metric] if run.status == DONE else []
            if column.along is not None and column.along not in run.settings:
                names += [column.along] if run.status == DONE or not isinstance(diverged, str) else []
            for name in names:
                value = run.metrics.get(name, math.nan)
                if not math.isfinite(value):
                    what = "is undefined" if math.isnan(value) else f"ended at {value:g}inity"
                    counts.setdefault(f"{name} {what}", set()).add(run.run_id)
    return tuple(f"{what} in {count_of(len(runs), 'run')}" for what, runs in counts.items())


def _points(
    statistic: Statistic, term: Term, matched: Sequence[Run], ended: Sequence[Run]
) -> list[list[Run]]:
    """Return the runs of a curve's points: a value of `along` each, or if that is a metric a setting."""
    along = statistic.along
    assert along is not None
    is_setting = any(along in run.settings for run in matched)
    for value in listed(term.where.get(along, ())):
        if not any(is_same(run.settings.get(along), value) for run in matched):
            raise ReplicatesError(f"There are no runs with {along}={value}.")
    keys = [along] if is_setting else sorted(varying_keys(ended))
    groups: dict[_Key, list[Run]] = {}
    for run in ended:
        groups.setdefault(tuple(run.settings.get(key) for key in keys), []).append(run)
    if is_setting and not all(is_number(value) for (value,) in groups):
        raise ReplicatesError(f"{along} is not a number in all runs.")
    if ended and len(groups) < statistic.fewest:
        points = count_of(len(groups), "point")
        raise ReplicatesError(f"The curve has {points}, and its {statistic.kind} needs {statistic.fewest}.")
    return [groups[key] for key in sorted(groups, key=lambda key: [*map(sort_key, key)])]


def _column(term: Term, runs: Sequence[Run], keys: Sequence[str], along: str | None) -> _Column:
    """Return a term's column; runs that differ in more than the seed are not replicates of one setting."""
    by_key: dict[_Key, Run] = {}
    for run in runs:
        key = _key(run, keys)
        if not all(isinstance(seed, int) for seed in key):
            raise ReplicatesError(f"Run {run.run_id} has no seed.")
        if key in by_key:
            pair = [by_key[key], run]
            seeds = sorted(
                k for k in run.settings if is_seed(k) and run.settings[k] != pair[0].settings.get(k)
            )
            differing = ", ".join([*varying_keys(pair), *seeds][:3]) or "nothing that affects their results"
            seed = ", ".join(map(str, key))
            raise ReplicatesError(
                f"Several runs of seed {seed} match {term.label}: they differ in {differing}."
            )
        by_key[key] = run
    return _Column(term.metric, by_key, along)


def _key(run: Run, keys: Sequence[str]) -> _Key:
    return tuple(
        run.seed if key == "seed" and key not in run.settings else run.settings.get(key) for key in keys
    )


def _labels(found: Sequence[_Key], keys: Sequence[str]) -> tuple[int | str, ...]:
    if len(keys) == 1:
        return tuple(key[0] for key in found)
    return tuple(", ".join(f"{k}={v}" for k, v in zip(keys, key, strict=True)) for key in found)


def _levels(found: Sequence[_Key], keys: Sequence[str]) -> tuple[int, ...]:
    """Return how many values each seed has over the replicates, which must be all their combinations."""
    values = [sorted({key[place] for key in found}) for place in range(len(keys))]
    if len(keys) > 1 and [*found] != [*itertools.product(*values)]:
        names = " and ".join(keys)
        raise ReplicatesError(f"{names} are crossed, and not every combination of them has a value.")
    return tuple(map(len, values))


def count_of(number: int, thing: str) -> str:
    """Return a number with its noun, ``1 run`` or ``2 runs``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
