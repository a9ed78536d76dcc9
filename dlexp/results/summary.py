"""Settings and replicates: which runs belong together, and what their metrics are on average."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeGuard

from dlexp.config.identity import WITHOUT_EFFECT
from dlexp.estimate import Estimate, estimate, student_quantile
from dlexp.records.run import DONE, Run
from dlexp.results.seeds import crossed, is_seed


@dataclass(frozen=True)
class Setting:
    """The runs that share `values` (one for each key that varies in the sweep)."""

    values: Mapping[str, Any]
    runs: tuple[Run, ...]

    @cached_property
    def done(self) -> tuple[Run, ...]:
        """The runs that finished well: the only ones that enter means."""
        return tuple(run for run in self.runs if run.status == DONE)

    @property
    def n_failed(self) -> int:
        """The runs that failed, diverged, did not finish (yet) or cannot be read."""
        return len(self.runs) - len(self.done)

    @cached_property
    def _sources(self) -> tuple[str, ...]:
        return crossed([self.done])

    def measured(self, metric: str) -> list[Run]:
        """Return the runs that finished well with a finite value of a metric."""
        return [run for run in self.done if math.isfinite(run.metrics.get(metric, math.nan))]

    def replicates(self, metric: str) -> list[float]:
        """Return the finite values of a metric over the runs that finished well."""
        return [run.metrics[metric] for run in self.measured(metric)]

    def estimate(self, metric: str) -> Estimate:
        """Return the mean of a metric over the runs, with an interval that knows of crossed seeds."""
        runs, keys = self.measured(metric), self._sources
        if len(keys) < 2:
            return estimate([run.metrics[metric] for run in runs])
        return estimate_crossed(
            {tuple(run.settings.get(key) for key in keys): run.metrics[metric] for run in runs}
        )


@dataclass(frozen=True)
class Summary:
    """A sweep by settings, sorted by their values.

    `keys` are the settings' keys that vary between runs, seeds apart. `swept` are those of them to show: the
    ones overridden by name, and as few others as tell the settings apart (``model=wide,deep`` changes many).
    """

    keys: tuple[str, ...]
    swept: tuple[str, ...]
    metrics: tuple[str, ...]
    settings: tuple[Setting, ...]
    unplaced: tuple[Run, ...] = ()  # runs of which no configuration could be read

    @property
    def runs(self) -> list[Run]:
        """All runs, in the order of the settings, then of the seeds."""
        return [*(run for setting in self.settings for run in setting.runs), *self.unplaced]


def estimate_crossed(cells: Mapping[tuple[Any, ...], float]) -> Estimate:
    """Return the mean over crossed seeds; `cells` maps each combination of seeds to its value.

    The variance of the mean is the sum over the seeds of that of the means of their levels, and the interval
    has the degrees of freedom of the seed with the fewest. It is somewhat too wide where the seeds act
    together (their interaction is counted once a seed). Unless every combination is there, no interval is
    known: `low` and `high` are NaN.
    """
    levels = [list(dict.fromkeys(column)) for column in zip(*cells, strict=True)]
    plain = estimate(list(cells.values()))
    if math.prod(map(len, levels)) != len(cells):
        return plain._replace(low=math.nan, high=math.nan)
    half = 0.0
    for place, values in enumerate(levels):
        means = [estimate([v for key, v in cells.items() if key[place] == level]).mean for level in values]
        half = math.hypot(half, estimate(means).sd / math.sqrt(len(means)))
    half *= student_quantile(min(map(len, levels)))
    return plain._replace(low=plain.mean - half, high=plain.mean + half)


def summarize(runs: Sequence[Run]) -> Summary:
    """Group runs into settings and sort them by value, numbers as numbers."""
    unplaced = tuple(run for run in runs if not run.settings)
    runs = [run for run in runs if run.settings]
    keys = varying_keys(runs)
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(tuple(run.settings.get(key) for key in keys), []).append(run)
    settings = tuple(
        Setting(dict(zip(keys, values, strict=True)), tuple(sorted(groups[values], key=_by_seed)))
        for values in sorted(groups, key=lambda values: tuple(map(sort_key, values)))
    )
    metrics = dict.fromkeys(name for setting in settings for run in setting.runs for name in run.metrics)
    return Summary(keys, _swept(runs, keys), tuple(metrics), settings, unplaced)


def by_arm(summary: Summary) -> dict[str | None, Summary]:
    """Return each arm's runs as a summary of their own, in which only what the arm sweeps varies.

    Without arms there is one entry, None: the summary as it is.
    """
    if "arm" not in summary.keys:
        return {None: summary}
    arms: dict[str | None, list[Run]] = {}
    for run in summary.runs:
        arms.setdefault(run.settings.get("arm"), []).append(run)
    return {arm: summarize(runs) for arm, runs in arms.items()}


def varying_keys(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return the keys of the configuration that differ between runs, seeds apart; overridden ones come first.

    Of a run without a result only Hydra's copy of the configuration is known, not all of which can be
    resolved: such runs count for overridden keys only.
    """
    complete = [run for run in runs if run.has_result]
    overridden = _overridden(runs)
    named = [key for key in _differing(runs) if _is_covered(key, overridden)]
    named.sort(key=lambda key: overridden.index(key) if key in overridden else len(overridden))
    return tuple(dict.fromkeys([*named, *_differing(complete)]))


def _differing(runs: Sequence[Run]) -> list[str]:
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    return [
        key
        for key in keys
        if not is_seed(key)
        and key.split(".")[0] not in WITHOUT_EFFECT
        and len({run.settings.get(key) for run in runs}) > 1
    ]


def _overridden(runs: Sequence[Run]) -> list[str]:
    overrides = dict.fromkeys(override for run in runs for override in run.overrides)
    keys = (override.lstrip("+~").partition("=")[0].partition("@")[0] for override in overrides)
    return list(dict.fromkeys(key.replace("/", ".") for key in keys))


def _is_covered(key: str, overridden: Iterable[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in overridden)


def _swept(runs: Sequence[Run], keys: tuple[str, ...]) -> tuple[str, ...]:
    overridden = _overridden(runs)
    shown = [key for key in keys if key in overridden]

    def order(key: str) -> tuple[bool, bool]:
        return not _is_covered(key, overridden), not all(is_number(run.settings.get(key)) for run in runs)

    for key in sorted((key for key in keys if key not in shown), key=order):
        if _count(runs, [*shown, key]) > _count(runs, shown):
            shown.append(key)
    return tuple(key for key in keys if key in shown)


def _count(runs: Sequence[Run], keys: Sequence[str]) -> int:
    return len({tuple(run.settings.get(key) for key in keys) for run in runs})


def same_partition(runs: Sequence[Run], key: str, other: str) -> bool:
    """Return whether either of two keys tells the value of the other in all runs."""
    return _count(runs, [key]) == _count(runs, [other]) == _count(runs, [key, other])


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return whether a setting's value is a number; True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def sort_key(value: Any) -> tuple[int, float, str]:
    """Return a key that sorts settings: absent values, then numbers by size, then the rest by name."""
    if value is None:
        return (0, 0.0, "")
    return (1, float(value), "") if is_number(value) else (2, 0.0, str(value))


def _by_seed(run: Run) -> tuple[tuple[int, float, str], str]:
    return sort_key(run.seed), run.run_id
