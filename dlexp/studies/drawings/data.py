"""What is drawn: which runs meet a condition, and a line's replicates at each position."""

import csv
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlexp.records.run import DONE, Run
from dlexp.report.names import metric_name
from dlexp.results.summary import is_number, summarize
from dlexp.results.table import matches
from dlexp.studies.drawings.specification import Line
from dlexp.studies.panels import Series

if TYPE_CHECKING:
    import numpy
    import numpy.typing

    Array = numpy.typing.NDArray[numpy.float64]


class StudyRuns:
    """The runs of a study; what they kept in files is read once, and only what is drawn.

    Of the runs that were asked for it remembers those that did not end well, and those of which values that
    were asked for are missing or not finite.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs
        self._histories: dict[Path, dict[str, dict[float, float]]] = {}
        self._arrays: dict[tuple[Path, str], Array | None] = {}
        self.unfinished: set[str] = set()
        self.incomplete: set[str] = set()

    def begin(self) -> None:
        """Forget which runs were left out: another figure is drawn."""
        self.unfinished = {run.run_id for run in self._runs if not run.settings}
        self.incomplete = set()

    def is_setting(self, key: str | None) -> bool:
        """Return whether a name is one of a setting, not of a metric."""
        return any(key in run.settings for run in self._runs)

    def select(self, *conditions: Mapping[str, Any]) -> list[Run]:
        """Return the runs that meet all conditions and ended well."""
        met = [run for run in self._runs if run.settings and all(matches(run, where) for where in conditions)]
        self.unfinished |= {run.run_id for run in met if run.status != DONE}
        return [run for run in met if run.status == DONE]

    def values(self, runs: Sequence[Run], metric: str) -> list[tuple[Run, float]]:
        """Return the runs with a finite value of a metric, and it."""
        found = [(run, run.metrics.get(metric, math.nan)) for run in runs]
        finite = [(run, value) for run, value in found if math.isfinite(value)]
        self.leave_out(runs, [run for run, _ in finite])
        return finite

    def leave_out(self, runs: Sequence[Run], complete: Sequence[Run]) -> None:
        """Remember which of the runs are not complete, if any is; what no run has is not theirs to lack."""
        if complete:
            self.incomplete |= {run.run_id for run in runs} - {run.run_id for run in complete}

    def array(self, run: Run, name: str) -> "Array | None":
        """Return an array that a run kept, as float64, or None if it did not."""
        import numpy

        key = (run.folder, name)
        if key not in self._arrays:
            try:
                # numpy leaves a file that it opened itself open if it is broken
                with (run.folder / "arrays.npz").open("rb") as file, numpy.load(file) as arrays:
                    self._arrays[key] = numpy.asarray(arrays[name], dtype=numpy.float64)
            except (OSError, KeyError, ValueError, zipfile.BadZipFile):
                self._arrays[key] = None
        return self._arrays[key]

    def path(self, run: Run, line: Line) -> dict[float, float]:
        """Return a line's values of one run by position: optimizer steps, or the array ``line.x``."""
        return self._history(run, line.metric) if line.metric else self._array_path(run, line)

    def _history(self, run: Run, metric: str) -> dict[float, float]:
        if run.folder not in self._histories:
            history: dict[str, dict[float, float]] = {}
            try:
                with (run.folder / "metrics.csv").open(encoding="utf-8", newline="") as rows:
                    for row in csv.DictReader(rows):
                        history.setdefault(row["name"], {})[float(row["step"])] = float(row["value"])
            except (OSError, KeyError, TypeError, ValueError):
                history = {}
            self._histories[run.folder] = history
        return self._histories[run.folder].get(metric, {})

    def _array_path(self, run: Run, line: Line) -> dict[float, float]:
        assert line.y is not None
        values = self.array(run, line.y)
        places = self.array(run, line.x) if line.x else None
        if values is None or (line.x and places is None):
            return {}
        values = pick_row(values, line.row)
        if places is None:
            return dict(enumerate(values.tolist()))
        places = pick_row(places, line.row)
        return dict(zip(places.tolist(), values.tolist(), strict=True)) if len(places) == len(values) else {}


def pick_row(values: "Array", row: int | Sequence[int]) -> "Array":
    """Return a one-dimensional part of an array: `row` is the index, or the indices, of its first axes.

    One index is used for as many axes as have to go; a row that there is not leaves an empty array.
    """
    n_axes = max(values.ndim - 1, 0)
    indices = [row] * n_axes if isinstance(row, int) else list(row)[:n_axes]
    try:
        part = values[tuple(indices)]
    except IndexError:
        return values.reshape(-1)[:0]
    return part if part.ndim == 1 else values.reshape(-1)[:0]


def along(study: StudyRuns, line: Line, key: str) -> Series:
    """Return a metric's replicates against a setting or, setting by setting, the mean of another metric."""
    assert line.metric is not None
    runs = study.select(line.where)
    values = {run.folder: value for run, value in study.values(runs, line.metric)}
    points: dict[float, list[tuple[Run, float]]] = {}
    for position, run in positions_of(runs, key):
        if run.folder in values:
            points.setdefault(position, []).append((run, values[run.folder]))
    positions = sorted(points)
    replicates = [by_seed(points[position]) for position in positions]
    return Series(line.legend, metric_name(line.metric), positions, replicates)


def over_positions(study: StudyRuns, line: Line) -> Series:
    """Return a line's replicates where all runs measured it, and each run's path."""
    runs = study.select(line.where)
    whole = [(run, study.path(run, line)) for run in runs]
    paths = [(run, finite) for run, path in whole if (finite := _finite(path))]
    study.leave_out(runs, [run for (run, path) in whole if path and len(_finite(path)) == len(path)])
    positions = sorted(set.intersection(*(set(path) for _, path in paths))) if paths else []
    replicates = [by_seed([(run, path[x]) for run, path in paths]) for x in positions]
    single = [(list(path), list(path.values())) for _, path in paths]
    return Series(line.legend, metric_name(line.metric or line.y or ""), positions, replicates, single)


def _finite(path: Mapping[float, float]) -> dict[float, float]:
    return {x: y for x, y in sorted(path.items()) if math.isfinite(x) and math.isfinite(y)}


def by_seed(pairs: Iterable[tuple[Run, float]]) -> list[float]:
    """Return a value for each seed, the mean of its runs: runs of the same seed are no replicates."""
    seeds: dict[Any, list[float]] = {}
    for run, value in pairs:
        seeds.setdefault(run.run_id if run.seed is None else run.seed, []).append(value)
    return [math.fsum(values) / len(values) for values in seeds.values()]


def quantity(run: Run, name: str) -> float:
    """Return a metric or, if there is none of the name, a setting of a run; NaN if it is not a number.

    A full batch is as large as the training set.
    """
    value = run.metrics.get(name, run.settings.get(name))
    if name == "data.batch_size" and value == "full":
        value = run.settings.get("data.n_train")
    return float(value) if value is not None and is_number(value) else math.nan


def positions_of(runs: Sequence[Run], key: str) -> list[tuple[float, Run]]:
    """Return where along a setting or a metric each run is; setting by setting for a metric, at its mean."""
    if any(key in run.settings for run in runs):
        found = [(quantity(run, key), run) for run in runs]
    else:
        found = []
        for setting in summarize(runs).settings:
            mean = setting.estimate(key).mean
            found += [(mean, run) for run in setting.runs]
    return [(position, run) for position, run in found if math.isfinite(position)]
