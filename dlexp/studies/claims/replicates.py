"""From runs to a claim's table of replicates: which runs it is about, and which are missing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlexp.records.run import DIVERGED, DONE, FAILED, Run
from dlexp.results.seeds import is_seed
from dlexp.results.summary import is_number, sort_key, varying_keys
from dlexp.results.table import is_same, matches
from dlexp.studies.claims.definition import FEWEST_POINTS, Claim, Term
from dlexp.studies.claims.statistics import Table


class ReplicatesError(ValueError):
    """Runs of which a claim's table cannot be made; the message is a sentence that says why."""


@dataclass(frozen=True)
class Replicates:
    """The table of the complete seeds, the runs that diverged, and the runs and seeds that are missing."""

    table: Table
    n_diverged: int
    n_failed: int
    n_unfinished: int
    n_undefined: int  # finished well, without a finite value
    n_partial: int  # seeds of which a run was not started

    @property
    def lost(self) -> str:
        """What was begun and gave no value, in words: it may have been unlike what is there."""
        counts = (
            (self.n_failed, "failed"),
            (self.n_unfinished, "did not finish"),
            (self.n_undefined, "gave no finite value"),
        )
        parts = [f"{count_of(count, 'run')} {what}" for count, what in counts if count]
        return ", ".join(parts)


@dataclass(frozen=True)
class _Column:
    """A term, or a point of a curve: its run of each seed."""

    metric: str
    runs: Mapping[int, Run]
    along: str | None = None


def gather(claim: Claim, runs: Sequence[Run]) -> Replicates:
    """Return a claim's replicates: a row of the table for each seed that has a value in all columns.

    The columns of a curve are the points that any seed has, and those that `where` lists for `along`. Runs of
    which no configuration can be read belong to no claim; of an unfinished run a setting that cannot be read
    counts as one that `where` asks for.

    Raises:
        ReplicatesError: `where` matches no run, or several of a seed for one value; no run has the metric; a
            listed point was not run; the curve has too few points, or its positions are not numbers.
    """
    statistic = claim.statistic
    terms = [term for term in statistic.terms if isinstance(term, Term)]
    for term in terms:
        of_term = [run for run in runs if run.settings and matches(run, term.where)]
        if not of_term:
            raise ReplicatesError(f"There are no runs for {term}.")
        done = [run for run in of_term if run.status == DONE]
        if done and not any(term.metric in run.metrics for run in done):
            raise ReplicatesError(f"No run has the metric {term.metric}.")
    matched = [run for run in runs if run.settings and any(matches(run, term.where) for term in terms)]
    matched.sort(key=lambda run: run.run_id)
    ended = [run for run in matched if run.status in (DONE, DIVERGED)]
    columns: list[_Column | float]
    if statistic.along is None:
        columns = [term if isinstance(term, float) else _column(term, ended) for term in statistic.terms]
    else:
        columns = [*_points(claim, terms[0], statistic.along, matched, ended)]
    measured = [column for column in columns if isinstance(column, _Column)]
    seeds = sorted({seed for column in measured for seed in column.runs})
    complete = [seed for seed in seeds if all(seed in column.runs for column in measured)]
    cells = np.array([[_cell(column, seed, claim.diverged) for column in columns] for seed in complete])
    cells = cells.reshape(len(complete), len(columns), 2)
    used = ~np.isnan(cells).any(axis=(1, 2))
    undefined = {
        run.run_id
        for column in measured
        for seed, run in column.runs.items()
        if run.status == DONE or not isinstance(claim.diverged, str)
        if np.isnan(_cell(column, seed, claim.diverged)).any()
    }
    stopped = {_seed(run) for run in matched if run.status not in (DONE, DIVERGED)}
    return Replicates(
        table=Table(tuple(np.array(complete)[used].tolist()), cells[used, :, 0], cells[used, :, 1]),
        n_diverged=sum(run.status == DIVERGED for run in matched),
        n_failed=sum(run.status == FAILED for run in matched),
        n_unfinished=sum(not run.has_result for run in matched),
        n_undefined=len(undefined),
        n_partial=len({*seeds} - {*complete} - stopped),
    )


def _cell(column: _Column | float, seed: int, diverged: str | float) -> tuple[float, float]:
    """Return a seed's value and its position on the curve (0 for a term); NaN for what does not count."""
    if isinstance(column, float):
        return column, 0.0
    run = column.runs[seed]
    position = 0.0
    if column.along is not None:
        position = _finite(run.settings.get(column.along, run.metrics.get(column.along)))
    if run.status == DIVERGED:
        return math.nan if isinstance(diverged, str) else diverged, position
    return _finite(run.metrics.get(column.metric)), position


def _finite(value: float | None) -> float:
    return float(value) if value is not None and math.isfinite(value) else math.nan


def _seed(run: Run) -> Any:
    return run.settings.get("seed", run.seed)


def _points(
    claim: Claim, term: Term, along: str, matched: Sequence[Run], ended: Sequence[Run]
) -> list[_Column]:
    """Return a curve's points: the values of the setting `along`, or if that is a metric, the settings."""
    is_setting = any(along in run.settings for run in matched)
    for value in term.where.get(along, ()):
        if not any(is_same(run.settings.get(along), value) for run in matched):
            raise ReplicatesError(f"There are no runs with {along}={value}.")
    keys = [along] if is_setting else sorted(varying_keys(ended))
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in ended:
        groups.setdefault(tuple(run.settings.get(key) for key in keys), []).append(run)
    if is_setting and not all(is_number(value) for (value,) in groups):
        raise ReplicatesError(f"{along} is not a number in all runs.")
    if not is_setting and ended and not any(along in run.metrics for run in ended):
        raise ReplicatesError(f"No run has the setting or metric {along}.")
    fewest = FEWEST_POINTS[claim.statistic.kind]
    if ended and len(groups) < fewest:
        points = count_of(len(groups), "point")
        raise ReplicatesError(f"The curve has {points}, and its {claim.statistic.kind} needs {fewest}.")
    return [
        _column(term, groups[key], along) for key in sorted(groups, key=lambda key: [*map(sort_key, key)])
    ]


def _column(term: Term, runs: Sequence[Run], along: str | None = None) -> _Column:
    """Return a term's column; runs that differ in more than the seed are not replicates of one setting."""
    runs = [run for run in runs if run.settings and matches(run, term.where)]
    by_seed: dict[int, Run] = {}
    for run in runs:
        seed = _seed(run)
        if not isinstance(seed, int):
            raise ReplicatesError(f"Run {run.run_id} has no seed.")
        if seed in by_seed:
            pair = [by_seed[seed], run]
            seeds = sorted(
                key for key in run.settings if is_seed(key) and run.settings[key] != pair[0].config.get(key)
            )
            differing = ", ".join([*varying_keys(pair), *seeds][:3]) or "nothing that affects their results"
            raise ReplicatesError(f"Several runs of seed {seed} match {term}: they differ in {differing}.")
        by_seed[seed] = run
    return _Column(term.metric, by_seed, along)


def count_of(number: int, thing: str) -> str:
    """Return a number with its noun, ``1 run`` or ``2 runs``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
