"""The runs of a sweep as one table: what figures, statistics and a notebook read."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

from dlexp.records.folders import read_runs
from dlexp.records.run import DONE, Run
from dlexp.results.seeds import is_seed
from dlexp.results.summary import Setting, Summary, is_number, summarize

if TYPE_CHECKING:
    import numpy
    import numpy.typing
    import pandas

_LAST_COLUMNS = ("duration_s", "device", "error")


class TableError(ValueError):
    """A table that does not hold what was asked of it; the message is a sentence that says why."""


class Point(NamedTuple):
    """A metric at one position: its mean over replicates, the 95 % interval of the mean, the replicates.

    Of one replicate no interval is known: `low` and `high` are then NaN.
    """

    x: float
    mean: float
    low: float
    high: float
    values: tuple[float, ...]


@dataclass(frozen=True)
class Table:
    """The runs of a sweep, those that are missing too.

    Means are over replicates: runs that differ in seeds only. There is no way to select some of the seeds; a
    result that needs it is not one.
    """

    rows: tuple[Run, ...]

    @classmethod
    def read(cls, folder: str | PathLike[str]) -> "Table":
        """Return the table of the runs under a folder, such as ``outputs/NAME``.

        Raises:
            NoRunsError: there is no such folder, or no runs are in it.
        """
        return cls(tuple(read_runs(folder)))

    @cached_property
    def done(self) -> "Table":
        """The runs that finished well: the only ones that enter means."""
        return Table(tuple(run for run in self.rows if run.status == DONE))

    @property
    def missing(self) -> tuple[Run, ...]:
        """The runs that failed, diverged, did not finish (yet) or cannot be read."""
        return tuple(run for run in self.rows if run.status != DONE)

    @cached_property
    def summary(self) -> Summary:
        """The runs by settings."""
        return summarize(self.rows)

    @property
    def runs(self) -> "pandas.DataFrame":
        """A row a run, as :func:`load_runs` returns them."""
        import pandas

        settings = dict.fromkeys(key for run in self.rows for key in run.settings)
        metrics = dict.fromkeys(name for run in self.rows for name in run.metrics)
        rows = [
            {
                **run.settings,
                **run.metrics,
                "run_id": run.run_id,
                "status": run.status,
                "seed": run.seed,
                "duration_s": run.duration_s if run.has_result else None,
                "device": run.device or None,
                "error": run.error,
            }
            for run in self.rows
        ]
        columns = dict.fromkeys(["run_id", "status", "seed", *settings, *metrics])
        ordered = [name for name in columns if name not in _LAST_COLUMNS]
        return pandas.DataFrame(rows, columns=[*ordered, *_LAST_COLUMNS])

    def select(self, where: Mapping[str, Any] | None = None, /, **settings: Any) -> "Table":
        """Return the runs with these settings; a list means any of its values. It may be empty.

        Dotted keys go into the mapping: ``table.select({"model.width": 5}, arm="width")``. Of a run without a
        result not all settings are known: those that are count.

        Raises:
            TableError: a key is a seed, or a setting that no run has.
        """
        wanted = {**(where or {}), **settings}
        for key in wanted:
            if is_seed(key):
                raise TableError(f"{key}={wanted[key]} is not allowed: seeds are never selected.")
            is_known = any(key in run.settings for run in self.rows) or wanted[key] is None
            if self.rows and not is_known:
                raise TableError(f"No run has the setting {key}.")
        return Table(tuple(run for run in self.rows if run.settings and matches(run, wanted)))

    def column(self, key: str) -> list[Any]:
        """Return a setting or a metric of every run, in the order of `rows`; None where a run lacks it.

        Raises:
            TableError: no run has it.
        """
        if self.rows and not any(key in run.settings or key in run.metrics for run in self.rows):
            raise TableError(f"No run has the setting or metric {key}.")
        return [run.settings.get(key, run.metrics.get(key)) for run in self.rows]

    def group(self, along: str, metric: str) -> list[Point]:
        """Return a metric's mean and interval at each value of a setting, in the order of the values.

        ``along`` may be a metric as well: a setting's position is then its mean. Runs that are not done, and
        values that are not finite, are left out, and so are points without any or without a position.

        Raises:
            TableError: no run has the metric or ``along``; ``along`` is not a number everywhere; or runs with
                one value of it differ in something else, so that their mean would mix settings.
        """
        settings = [setting for setting in self.summary.settings if setting.done]
        if settings and not any(metric in run.metrics for run in self.done.rows):
            raise TableError(f"No run has the metric {metric}.")
        is_placed = [along in setting.done[0].settings or setting.estimate(along).n for setting in settings]
        points = [
            point_of(setting, position(setting, along), metric)
            for setting, placed in zip(settings, is_placed, strict=True)
            if setting.estimate(metric).n and (placed or not any(is_placed))
        ]
        points.sort(key=lambda point: point.x)
        if len({point.x for point in points}) < len(points) and along in self.done.summary.keys:
            others = [key for key in self.done.summary.swept if key != along]
            raise TableError(f"Runs with one {along} also differ in {', '.join(others)}: select one of each.")
        return points

    def histories(self, metric: str) -> list[tuple[list[int], list[float]]]:
        """Return the steps and values of a metric along each run that is done and recorded it."""
        found = []
        for run in self.done.rows:
            rows = {step: value for step, _, name, value in run.rows() if name == metric}
            if rows:
                found.append((list(rows), list(rows.values())))
        return found

    def paths(
        self, y: str, x: str | None = None, row: int | Sequence[int] = -1
    ) -> "list[tuple[numpy.typing.NDArray[numpy.generic], numpy.typing.NDArray[numpy.generic]]]":
        """Return the array `y` over the array `x` (or 0, 1, ...) of each run that is done and has both.

        Of arrays with several axes the part at `row` is taken: the index of the first ones, one for as many
        as have to go or one for each.
        """
        import numpy

        def pick(array: "numpy.typing.NDArray[numpy.generic]") -> "numpy.typing.NDArray[numpy.generic]":
            indices = [row] * (array.ndim - 1) if isinstance(row, int) else list(row)[: array.ndim - 1]
            part: numpy.typing.NDArray[numpy.generic] = array[tuple(indices)]
            return part

        values = {run: pick(array) for run, array in self.arrays(y).items()}
        places = {run: pick(array) for run, array in self.arrays(x).items()} if x else None
        if places is None:
            return [(numpy.arange(len(array)), array) for array in values.values()]
        return [(places[run], array) for run, array in values.items() if run in places]

    def arrays(self, name: str) -> "dict[str, numpy.typing.NDArray[numpy.generic]]":
        """Return an array of each run that is done and has it, by the run's name."""
        stored = {run.run_id: run.arrays() for run in self.done.rows}
        return {run_id: arrays[name] for run_id, arrays in stored.items() if name in arrays}


def load_runs(folder: str | PathLike[str]) -> "pandas.DataFrame":
    """Return the runs under `folder` (such as ``outputs/NAME``) as a pandas table, one row a run.

    Columns: ``run_id``, ``status`` (``done``, ``failed``, ``diverged``, ``running or interrupted``,
    ``unreadable``), ``seed``, each setting under its dotted name (``model.width``; lists as JSON text), each
    metric under its name (``test/loss``; select by ``status``: that of a diverged run is where it ended),
    ``duration_s``, ``device``, ``error``.

    Raises:
        NoRunsError: there is no such folder, or no runs are in it.
    """
    return Table.read(folder).runs


def point_of(setting: Setting, x: float, metric: str) -> Point:
    """Return a setting's point at a position."""
    found = setting.estimate(metric)
    return Point(x, found.mean, found.low, found.high, tuple(setting.replicates(metric)))


def position(setting: Setting, along: str) -> float:
    """Return where a setting with a run that is done stands along a setting or a metric.

    A batch of ``full`` stands at the number of samples.

    Raises:
        TableError: it has no such number.
    """
    settings = setting.done[0].settings
    value = settings.get(along)
    if along == "data.batch_size" and value == "full":
        value = settings.get("data.n_train")
    if along not in settings:
        value = setting.estimate(along).mean
    if not is_number(value) or not math.isfinite(value):
        raise TableError(f"{along} is not a finite number in run {setting.done[0].run_id}.")
    return float(value)


def matches(run: Run, where: Mapping[str, Any]) -> bool:
    """Return whether a run has these settings; a list means any of its values.

    Of a run without a result not all settings are known: those that are count.
    """
    keys = [key for key in where if run.has_result or key in run.settings]
    return all(any(is_same(run.settings.get(key), value) for value in listed(where[key])) for key in keys)


def is_same(setting: Any, value: Any) -> bool:
    """Return whether a setting has a value: numbers by size (5 is 5.0), True and False are none."""
    return is_number(setting) == is_number(value) and bool(setting == value)


def listed(wanted: Any) -> Sequence[Any]:
    """Return what a ``where`` asks for as a list of values."""
    is_several = isinstance(wanted, Iterable) and not isinstance(wanted, str | Mapping)
    return list(wanted) if is_several else [wanted]
