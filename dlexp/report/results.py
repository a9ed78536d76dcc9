"""All that is made of a folder of runs: tables, verdicts, figures, TensorBoard images, the report."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from dlexp.records import lease
from dlexp.records.files import write_atomically
from dlexp.records.folders import require_runs
from dlexp.report.provenance import doubts
from dlexp.report.tables import COUNTS, csv_text, runs_rows, summary_rows, summary_table
from dlexp.report.terminal import (
    print_findings,
    print_sentences,
    print_table,
    print_unfinished,
    shown_path,
    tensorboard_command,
)
from dlexp.results.table import Table

if TYPE_CHECKING:
    import pandas
    from rich.console import Console

    from dlexp.report.images import Drawn
    from dlexp.results.claims import Finding
    from dlexp.results.study import Study

_LOCK_TIMEOUT_S = 300


@dataclass(frozen=True)
class Results:
    """A folder's runs, what they say of a study's claims, and what was written from them."""

    folder: Path
    table: Table
    study: "Study | None" = None
    findings: "Sequence[Finding]" = ()
    drawn: "Sequence[Drawn]" = ()  # none if only read
    files: list[Path] = field(default_factory=list)  # none if only read

    @property
    def runs(self) -> "pandas.DataFrame":
        """A row a run: `dlexp.load_runs`."""
        return self.table.runs

    @property
    def summary(self) -> "pandas.DataFrame":
        """A row a setting, as in ``summary.csv``."""
        return summary_table(self.table.summary)

    @property
    def figures(self) -> list[Path]:
        """The figures written, as PNG."""
        return [path for path in self.files if path.suffix == ".png"]

    @property
    def notices(self) -> list[str]:
        """Sentences that a reader has to know: of the study's Python, of figures, of runs in doubt."""
        problems = [f"Figure {each.name}: {each.problem}" for each in self.drawn if each.problem]
        return [*(self.study.notices if self.study else ()), *problems, *doubts(self.table.rows)]

    def print(self, console: "Console | None" = None) -> None:
        """Print the table, the verdicts, the files, what to type next, and last each run that is not done."""
        from rich.console import Console

        console = console or Console()
        print_table(self.table.summary, console, self.study)
        print_findings(self.findings, console)
        shown = (".csv", ".png", ".html")
        places = [
            shown_path(path) for path in self.files if path.suffix in shown or path.name == "claims.json"
        ]
        print_sentences(places, console, "dim")
        print_sentences(self.notices, console, "yellow")
        print_sentences([tensorboard_command(self.folder)], console, "bold")
        print_unfinished(self.table.summary.runs, console)


def read(folder: str | PathLike[str], *, trust: bool = False) -> Results:
    """Read the runs of a folder, summarise them and judge the study's claims; nothing is written.

    Args:
        folder: the sweep's.
        trust: whether to run the study's Python in it, where none of that name is installed.

    Raises:
        NoRunsError: there is no such folder, or no runs are in it.
    """
    folder = Path(folder)
    table = Table.read(folder)
    if not (folder / "study.json").exists():
        return Results(folder, table)
    from dlexp.results.kept import read_study
    from dlexp.results.verdict import judge

    study = read_study(folder, trust=trust)
    return Results(folder, table, study, judge(study.claims, table) if study else ())


def rebuild(folder: str | PathLike[str], *, trust: bool = False) -> Results:
    """Make everything that follows from a folder's runs anew; at any time, also while a sweep runs.

    Writes ``runs.csv``, ``summary.csv``, ``claims.json`` (of a study), ``figures/*.{png,svg}`` (a study's
    own, else the losses against each swept key), one TensorBoard events file with the figures, and
    ``report.html``. Each file is replaced whole; a second process waits for the first.

    Args:
        folder: the sweep's.
        trust: whether to run the study's Python in it, where none of that name is installed.

    Raises:
        NoRunsError: there is no such folder, or no runs are in it.
        OSError: the folder cannot be written.
    """
    from dlexp.report.figures import figures_of, write_figures
    from dlexp.report.page import render_report
    from dlexp.report.tensorboard import write_images

    folder = Path(folder)
    require_runs(folder)  # no lease is left in a folder that holds no runs
    locks = folder / ".locks"
    locks.mkdir(exist_ok=True)
    with contextlib.ExitStack() as held:
        lease.wait(locks, _LOCK_TIMEOUT_S)
        held.callback(lease.release, locks)
        results = read(folder, trust=trust)
        table, study = results.table, results.study
        files = [
            write_atomically(folder / "runs.csv", csv_text(runs_rows(table.summary))),
            write_atomically(folder / "summary.csv", csv_text(summary_rows(table.summary), COUNTS)),
        ]
        if study:
            from dlexp.results.verdict import claims_json

            files.append(write_atomically(folder / "claims.json", claims_json(results.findings)))
        name = folder.resolve().name
        drawn = write_figures(figures_of(study, table, name), table, folder / "figures")
        paths = [each.path for each in drawn if each.problem is None]
        _remove_earlier(folder / "figures", paths)
        events = write_images(paths, folder / "figures", len(table.done.rows))
        page = render_report(study, table.summary, results.findings, drawn, folder)
        files += [path for figure in paths for path in (figure, figure.with_suffix(".svg"))]
        files.append(write_atomically(folder / "report.html", page))
    files += [events] if events else []
    return Results(folder, table, study, results.findings, drawn, files)


def _remove_earlier(folder: Path, figures: Sequence[Path]) -> None:
    """Remove figures against keys that no longer vary: they would show runs that are not there."""
    kept = {figure.stem for figure in figures}
    for suffix in ("png", "svg"):
        for path in folder.glob(f"*_against_*.{suffix}"):
            if path.stem not in kept:
                path.unlink(missing_ok=True)
