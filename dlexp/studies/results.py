"""All that is made of a folder of runs: tables, figures, TensorBoard images."""

from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from dlexp.files import write_atomically
from dlexp.studies.runs import as_table, read_runs
from dlexp.studies.summary import Summary, runs_table, summarize, summary_table
from dlexp.studies.table import print_table, print_unfinished, shown_path, tensorboard_command

if TYPE_CHECKING:
    import pandas
    from rich.console import Console

_LOCK_TIMEOUT_S = 300


@dataclass(frozen=True)
class Results:
    """A folder's runs, their summary, and the files written from them (none if only read)."""

    folder: Path
    settings: Summary
    files: list[Path] = field(default_factory=list)

    @property
    def runs(self) -> "pandas.DataFrame":
        """A row a run: `dlexp.load_runs`."""
        return as_table(self.settings.runs)

    @property
    def summary(self) -> "pandas.DataFrame":
        """A row a setting, as in ``summary.csv``."""
        return summary_table(self.settings).infer_objects()

    @property
    def figures(self) -> list[Path]:
        """The figures written, as PNG."""
        return [path for path in self.files if path.suffix == ".png"]

    def print(self, console: "Console | None" = None) -> None:
        """Print the table, where the files are, what to type next, and last a line for each run not done."""
        from rich.console import Console

        console = console or Console()
        print_table(self.settings, console)
        places = [shown_path(path) for path in self.files if path.suffix in (".csv", ".png")]
        if places:
            console.print("\n".join(places), style="dim", markup=False, highlight=False, soft_wrap=True)
        command = tensorboard_command(self.folder)
        console.print(command, style="bold", markup=False, highlight=False, soft_wrap=True)
        print_unfinished(self.settings.runs, console)


def read(folder: str | PathLike[str]) -> Results:
    """Read the runs of a folder and summarise them; nothing is written.

    Raises:
        NoRunsError: there is no such folder, or no runs are in it.
    """
    return Results(Path(folder), summarize(read_runs(folder)))


def rebuild(folder: str | PathLike[str]) -> Results:
    """Make everything that follows from a folder's runs anew; at any time, also while a sweep runs.

    Writes ``runs.csv``, ``summary.csv``, ``figures/*_against_*.{png,svg}`` and one TensorBoard events file
    with the figures. Each file is replaced whole; a second process waits for the first.

    Raises:
        NoRunsError: there is no such folder, or no runs are in it.
        OSError: the folder cannot be written.
    """
    from filelock import FileLock

    from dlexp.studies.figures import write_figures
    from dlexp.studies.tensorboard import write_images

    folder = Path(folder)
    read(folder)  # no lock file is left in a folder that holds no runs
    locks = folder / ".locks"
    locks.mkdir(exist_ok=True)
    with FileLock(locks / "report.lock", timeout=_LOCK_TIMEOUT_S):
        results = read(folder)
        files = [
            write_atomically(folder / "runs.csv", runs_table(results.settings).to_csv(index=False)),
            write_atomically(folder / "summary.csv", summary_table(results.settings).to_csv(index=False)),
        ]
        figures = write_figures(results.settings, folder.resolve().name, folder / "figures")
        _remove_earlier(folder / "figures", figures)
        finished = sum(len(setting.done) for setting in results.settings.settings)
        events = write_images(figures, folder / "figures", finished)
    files += [path for figure in figures for path in (figure, figure.with_suffix(".svg"))]
    return Results(folder, results.settings, [*files, *([events] if events else [])])


def _remove_earlier(folder: Path, figures: list[Path]) -> None:
    """Remove figures against keys that no longer vary: they would show runs that are not there."""
    kept = {figure.stem for figure in figures}
    for suffix in ("png", "svg"):
        for path in folder.glob(f"*_against_*.{suffix}"):
            if path.stem not in kept:
                path.unlink(missing_ok=True)
