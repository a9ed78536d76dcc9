"""All that is made of a folder of runs: tables, verdicts, figures, TensorBoard images, the report."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from dlexp.files import write_atomically
from dlexp.records.folders import read_runs
from dlexp.results.summary import Summary, summarize
from dlexp.results.table import Table
from dlexp.studies.study import Study, read_study
from dlexp.studies.table import (
    print_findings,
    print_table,
    print_unfinished,
    shown_path,
    tensorboard_command,
)
from dlexp.studies.tables import COUNTS, csv_text, runs_rows, summary_rows, summary_table

if TYPE_CHECKING:
    import pandas
    from rich.console import Console

    from dlexp.studies.claims import Finding
    from dlexp.studies.report import Figure

_LOCK_TIMEOUT_S = 300


@dataclass(frozen=True)
class Results:
    """A folder's runs, their summary, what they say of a study's claims, and the files written from them."""

    folder: Path
    settings: Summary
    study: Study | None = None
    findings: "Sequence[Finding]" = ()
    files: list[Path] = field(default_factory=list)  # none if only read

    @property
    def runs(self) -> "pandas.DataFrame":
        """A row a run: `dlexp.load_runs`."""
        return Table(tuple(self.settings.runs)).runs

    @property
    def summary(self) -> "pandas.DataFrame":
        """A row a setting, as in ``summary.csv``."""
        return summary_table(self.settings)

    @property
    def figures(self) -> list[Path]:
        """The figures written, as PNG."""
        return [path for path in self.files if path.suffix == ".png"]

    def print(self, console: "Console | None" = None) -> None:
        """Print the table, the verdicts, the files, what to type next, and last each run that is not done."""
        from rich.console import Console

        console = console or Console()
        print_table(self.settings, console, self.study.metrics if self.study else ())
        print_findings(self.findings, console)
        shown = (".csv", ".png", ".html")
        places = [
            shown_path(path) for path in self.files if path.suffix in shown or path.name == "claims.json"
        ]
        if places:
            console.print("\n".join(places), style="dim", markup=False, highlight=False, soft_wrap=True)
        command = tensorboard_command(self.folder)
        console.print(command, style="bold", markup=False, highlight=False, soft_wrap=True)
        print_unfinished(self.settings.runs, console)


def read(folder: str | PathLike[str]) -> Results:
    """Read the runs of a folder, summarise them and judge the study's claims; nothing is written.

    Raises:
        NoRunsError: there is no such folder, or no runs are in it.
    """
    folder = Path(folder)
    runs = read_runs(folder)
    study = read_study(folder)
    findings: Sequence[Finding] = ()
    if study is not None:
        from dlexp.studies.claims import judge

        findings = judge(study.parsed_claims, runs)
    return Results(folder, summarize(runs), study, findings)


def rebuild(folder: str | PathLike[str]) -> Results:
    """Make everything that follows from a folder's runs anew; at any time, also while a sweep runs.

    Writes ``runs.csv``, ``summary.csv``, ``claims.json`` (of a study), ``figures/*.{png,svg}`` (a study's
    own, else the losses against each swept key), one TensorBoard events file with the figures, and
    ``report.html``. Each file is replaced whole; a second process waits for the first.

    Raises:
        NoRunsError: there is no such folder, or no runs are in it.
        OSError: the folder cannot be written.
    """
    from filelock import FileLock

    from dlexp.studies.report import render_report
    from dlexp.studies.tensorboard import write_images

    folder = Path(folder)
    read(folder)  # no lock file is left in a folder that holds no runs
    locks = folder / ".locks"
    locks.mkdir(exist_ok=True)
    with FileLock(locks / "report.lock", timeout=_LOCK_TIMEOUT_S):
        results = read(folder)
        settings, study = results.settings, results.study
        files = [
            write_atomically(folder / "runs.csv", csv_text(runs_rows(settings))),
            write_atomically(folder / "summary.csv", csv_text(summary_rows(settings), COUNTS)),
        ]
        if study:
            from dlexp.studies.claims import claims_json

            files.append(write_atomically(folder / "claims.json", claims_json(results.findings)))
        figures = _write_figures(results)
        paths = [figure.path for figure in figures]
        _remove_earlier(folder / "figures", paths)
        finished = sum(len(setting.done) for setting in settings.settings)
        events = write_images(paths, folder / "figures", finished)
        page = render_report(asdict(study) if study else None, settings, results.findings, figures, folder)
        files += [path for figure in paths for path in (figure, figure.with_suffix(".svg"))]
        files.append(write_atomically(folder / "report.html", page))
    files += [events] if events else []
    return Results(folder, settings, study, results.findings, files)


def _write_figures(results: Results) -> "list[Figure]":
    from dlexp.studies.drawings import write_drawings
    from dlexp.studies.figures import write_figures
    from dlexp.studies.report import Figure

    folder, study = results.folder / "figures", results.study
    if study is None or not study.figures:
        name = results.folder.resolve().name
        return [
            Figure(path.stem, path.stem.replace("_", " "), "", path)
            for path in write_figures(results.settings, name, folder)
        ]
    drawings = {drawing.name: drawing for drawing in study.drawings}
    paths = write_drawings(tuple(drawings.values()), results.settings.runs, folder)
    return [Figure(p.stem, drawings[p.stem].title, drawings[p.stem].caption, p) for p in paths]


def _remove_earlier(folder: Path, figures: Sequence[Path]) -> None:
    """Remove figures against keys that no longer vary: they would show runs that are not there."""
    kept = {figure.stem for figure in figures}
    for suffix in ("png", "svg"):
        for path in folder.glob(f"*_against_*.{suffix}"):
            if path.stem not in kept:
                path.unlink(missing_ok=True)
