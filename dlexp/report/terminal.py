"""A sweep on the terminal: a row a setting, a line for each run that did not end well."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dlexp.records.run import DONE, Run
from dlexp.report.settings import SettingsTable, main_metrics, settings_table
from dlexp.results.summary import Summary, by_arm

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from dlexp.results.claims import Finding
    from dlexp.results.study import Study

_MOST_ROWS = 60
_FEWEST_ROWS = 12  # of an arm, however many there are


def print_table(summary: Summary, console: "Console", study: "Study | None") -> None:
    """Print a row a setting: the swept keys, the replicates, mean and half-width of the 95 % interval.

    As many of the main metrics are shown as fit beside each other. Each arm of a study has a table of its
    own.
    """
    if not summary.settings:
        return
    arms = by_arm(summary)
    most_rows = max(_FEWEST_ROWS, _MOST_ROWS // len(arms))
    sign = "±" if "utf" in console.encoding.lower() else "+-"
    for arm, part in arms.items():
        shown = replace(part, settings=part.settings[:most_rows])
        metrics = main_metrics(part.metrics, study)
        table = _printed(settings_table(shown, metrics, sign=sign))
        while len(metrics) > 1 and _full_width(table, console) > console.width:
            metrics = metrics[:-1]
            table = _printed(settings_table(shown, metrics, sign=sign))
        if arm is not None:
            console.print(f"\n{arm}", style="bold", highlight=False)
        console.print(table)
        left_out = len(part.settings) - most_rows
        if left_out > 0:
            console.print(f"{left_out} more settings are in summary.csv.", highlight=False)
    if any(len(setting.done) > 1 for setting in summary.settings):
        console.print("Mean and half-width of its 95 % interval over n runs.", highlight=False)


def _full_width(table: "Table", console: "Console") -> int:
    return console.measure(table, options=console.options.update(max_width=10_000)).maximum


def _printed(settings: SettingsTable) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in settings.columns:
        table.add_column(column.name, justify="right", overflow="fold", no_wrap=column.name == "n")
    for row in settings.rows:
        table.add_row(*(Text(cell.text) for cell in row))
    return table


def print_findings(findings: "Sequence[Finding]", console: "Console") -> None:
    """Print for each claim its verdict, what was found, and why; the claims first, then their controls."""
    if not findings:
        return
    from rich.table import Table
    from rich.text import Text

    from dlexp.report.verdicts import LOOKS, found_text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for finding in sorted(findings, key=lambda finding: finding.is_control):
        verdict = Text(finding.verdict, f"bold {LOOKS[finding.verdict].colour}")
        text = Text(f"Control: {finding.text}" if finding.is_control else finding.text)
        found = f"{found_text(finding)} over {finding.n} seeds. " if found_text(finding) else ""
        grid.add_row(verdict, text.append(f"\n{found}{finding.reason}", "dim"))
    console.print(grid)


def print_sentences(texts: Sequence[str], console: "Console", style: str) -> None:
    """Print texts as they are, a line each however long."""
    for text in texts:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def print_unfinished(runs: list[Run], console: "Console") -> None:
    """Print a line for each run that is not done: what happened, its name, its error, its log."""
    for run in runs:
        if run.status != DONE:
            error = f": {run.error}" if run.error else ""
            log = shown_path(run.folder / "train.log")
            style = "red" if run.error else "yellow"
            print_sentences([f"{run.status}: {run.run_id}{error} ({log})"], console, style)


def tensorboard_command(folder: Path) -> str:
    """Return what to type to look at the runs of a folder."""
    return f"tensorboard --logdir {shlex.quote(shown_path(folder))}"


def shown_path(path: Path) -> str:
    """Return a path as a person in the working directory would type it."""
    try:
        return os.fspath(path.resolve().relative_to(Path.cwd())) or "."
    except (ValueError, OSError):
        return os.fspath(path)
