"""dlexp from Python: the same as the command line, with what came of it as tables, arrays and networks.

>>> import dlexp
>>> dlexp.compose("data=digits", "model.depth=2")["model"]["depth"]
2
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlexp.own import own_parts
from dlexp.report.names import axis_name, metric_name

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure
    from torch import nn

    from dlexp.report.results import Results
    from dlexp.results.claims import Finding


def sweep(
    *overrides: str,
    name: str | None = None,
    model: type | None = None,
    measures: Sequence[Callable[..., Any]] = (),
) -> "Sweep":
    """Run a sweep, as ``python scripts/train.py -m ...`` does, and return what came of it.

    Jobs that are finished are not run again. Nothing is changed in the calling process: neither its logging
    nor its working directory, default type or random state.

    Args:
        overrides: as on the command line: ``"model.width=1,2,5"``, ``"seed=range(5)"``.
        name: results go to ``outputs/<name>``; None: the name that the configuration gives.
        model: a class of networks of one's own, in place of ``model=own model._target_=``.
        measures: functions of one's own, taken as ``callbacks=function`` takes one.

    What cannot be imported by its name (a class of a notebook, a lambda) needs a ``name``, is trained anew at
    each call, and in this process.

    Raises ``ConfigError`` with a sentence for each problem, before any job has begun. A job that fails or
    diverges raises nothing: :attr:`Sweep.runs` says so.
    """
    return _run(["-m", *own_parts(model, measures, name), *overrides, *_named(name)])


def study(
    study_name: str, *overrides: str, seeds: Iterable[int] | None = None, name: str | None = None
) -> "Sweep":
    """Run a study of ``conf/study`` and judge its claims: ``python scripts/train.py study=NAME``.

    Args:
        study_name: of the study.
        overrides: as on the command line.
        seeds: in place of the study's own.
        name: results go to ``outputs/<name>``; None: the study's name.

    Raises ``ConfigError`` with a sentence for each problem, before any job has begun.
    """
    chosen = [] if seeds is None else [f"seed={','.join(map(str, seeds))}"]
    return _run(["-m", f"study={study_name}", *overrides, *chosen, *_named(name)])


def compose(*overrides: str) -> dict[str, Any]:
    """Return the configuration of one job as plain data; every setting is filled.

    Raises ``ConfigError`` with a sentence for each problem.
    """
    from dlexp.config.jobs import compose as compose_job

    return compose_job(*overrides).plain


def load(folder: str | PathLike[str], *, trust: bool = False) -> "Sweep":
    """Return the sweep in a folder, finished or not.

    Args:
        folder: such as ``outputs/NAME``.
        trust: whether to run the study's Python in it, where none of that name is installed.

    Raises ``NoRunsError`` if no runs are there.
    """
    from dlexp.report.results import read

    return Sweep(read(folder, trust=trust))


class Sweep:
    """The runs of a sweep: as a table, as labelled arrays, as trained networks, as figures.

    Attributes:
        results: what the report is made of.
    """

    def __init__(self, results: "Results") -> None:
        self.results = results

    @property
    def folder(self) -> Path:
        """Where the sweep is."""
        return self.results.folder

    @property
    def runs(self) -> "pandas.DataFrame":
        """A row a run: status, settings and metrics."""
        return self.results.runs

    @property
    def summary(self) -> "pandas.DataFrame":
        """A row a setting: mean, standard deviation, 95 % interval and number of each metric."""
        return self.results.summary

    @property
    def claims(self) -> "Sequence[Finding]":
        """What the runs say of each claim of a study: estimate, interval, verdict, reason."""
        return self.results.findings

    @cached_property
    def curves(self) -> "xarray.Dataset":
        """Every metric over the swept settings, the seeds and ``step``; NaN where a run had ended."""
        from dlexp.results.labelled import labelled_curves

        curves = labelled_curves(self.results.table)
        for name, curve in curves.items():
            curve.attrs["long_name"] = metric_name(str(name))
        _name_axes(curves)
        return curves

    @property
    def arrays(self) -> "Arrays":
        """The stored arrays by name, each over the swept settings, the seeds and its own axes."""
        return Arrays(self.results)

    def network(self, **settings: Any) -> "nn.Module":
        """Return the trained network of the one run that is done and has these settings.

        Args:
            settings: by dotted name or its last part: ``width=5, seed=0``, ``**{"model.width": 5}``.

        Raises:
            ValueError: no run, or several, have them; or the run kept no checkpoint.
        """
        from dlexp.results.table import matches
        from dlexp.train.member import Member

        where = {self._key(key): value for key, value in settings.items()}
        found = [run for run in self.results.table.done.rows if matches(run, where)]
        asked = ", ".join(f"{key}={value}" for key, value in where.items()) or "nothing"
        if len(found) != 1:
            raise ValueError(f"{len(found)} runs that are done have {asked}: a network is that of one run.")
        path = found[0].folder / "checkpoints" / "last.ckpt"
        if not path.exists():
            raise ValueError(f"{found[0].run_id} kept no checkpoint (training.checkpoint, records=lean).")
        target = found[0].settings["model._target_"]
        return Member.load_from_checkpoint(path, "cpu", modules=[target.rpartition(".")[0]]).network

    def plot(self, metric: str = "test/loss", along: str | None = None) -> "Figure":
        """Return a figure of a metric against a swept setting, as the report draws it.

        Args:
            metric: by name.
            along: the setting; None: the first that was swept.

        Raises ``TableError`` if there is no such metric or setting.
        """
        from dlexp.plots import look
        from dlexp.report.charts import charts
        from dlexp.report.default import metric_figure
        from dlexp.report.figures import draw

        if along is None:
            along = next((chart.key for chart in charts(self.results.table.summary)), "seed")
        title = f"{self.folder.name}: {metric_name(metric)} against {axis_name(self._key(along))}"
        figure = metric_figure(self.results.table, metric, self._key(along), title)
        with look():
            return draw(figure, self.results.table)

    def to_netcdf(self, path: str | PathLike[str]) -> None:
        """Write :attr:`curves` as netCDF with ``.`` for ``/`` in names; xarray says what it needs."""
        names = {name: str(name).replace("/", ".") for name in self.curves}
        self.curves.rename(names).to_netcdf(path)

    def __repr__(self) -> str:
        done, all_runs = len(self.results.table.done.rows), len(self.results.table.rows)
        return f"Sweep({str(self.folder)!r}: {done} of {all_runs} runs done)"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(repr(self))}</p>{self.summary.to_html(max_rows=30, border=0)}"

    def _key(self, name: str) -> str:
        """Return the dotted name of a setting that is given by its last part."""
        keys = {key for run in self.results.table.rows for key in run.settings}
        if name in keys:
            return name
        summary = self.results.table.summary
        swept = [key for key in (*summary.swept, *sorted(keys)) if key.rsplit(".", 1)[-1] == name]
        return swept[0] if swept else name


class Arrays(Mapping[str, "xarray.DataArray"]):
    """The arrays that a sweep's runs have stored, read when asked for."""

    def __init__(self, results: "Results") -> None:
        self._results = results

    def __getitem__(self, name: str) -> "xarray.DataArray":
        from dlexp.results.labelled import labelled_array

        if name not in self._names:
            raise KeyError(name)
        array = labelled_array(self._results.table, name)
        _name_axes(array)
        return array

    def __iter__(self) -> Any:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    @cached_property
    def _names(self) -> list[str]:
        return sorted({name for run in self._results.table.done.rows for name in run.array_names()})


def _run(arguments: Sequence[str]) -> Sweep:
    from dlexp.cli.call import call_as_guest
    from dlexp.report.results import rebuild
    from dlexp.results.kept import note_duration

    command = call_as_guest(arguments)
    assert command.folder is not None
    note_duration(command.folder, command.started)
    return Sweep(rebuild(command.folder, trust=command.has_study))


def _named(name: str | None) -> list[str]:
    return [] if name is None else [f"name={name}"]


def _name_axes(data: "xarray.Dataset | xarray.DataArray") -> None:
    """Let coordinates carry what they are called along an axis."""
    for key in data.coords:
        data.coords[key].attrs.setdefault("long_name", axis_name(str(key)))
