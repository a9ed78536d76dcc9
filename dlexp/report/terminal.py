"""A sweep on the terminal: a row a setting, a line for each run that did not end well."""

import math
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlexp.records.run import DONE, Run
from dlexp.report.names import estimate_text, metric_name, setting_names, value_text, value_texts
from dlexp.results.summary import Setting, Summary, by_arm

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from dlexp.results.claims import Finding

_MOST_ROWS = 60
_FEWEST_ROWS = 12  # of an arm, however many there are
_SHOWN_METRICS = ("test/loss", "test/error", "train/loss", "train/error")


def print_table(summary: Summary, console: "Console", first_metrics: Sequence[str] = ()) -> None:
    """Print a row a setting: the swept keys, the replicates, mean and half-width of the 95 % interval.

    As many metrics are shown as fit beside each other: ``first_metrics``, or the losses and errors. Each arm
    of a study has a table of its own.
    """
    if not summary.settings:
        return
    arms = by_arm(summary)
    for arm, part in arms.items():
        most_rows = max(_FEWEST_ROWS, _MOST_ROWS // len(arms))
        wanted = first_metrics or _SHOWN_METRICS
        metrics = [name for name in wanted if name in part.metrics] or list(part.metrics[:3])
        table = _table(part, metrics, console.encoding, most_rows)
        while len(metrics) > 1 and _full_width(table, console) > console.width:
            metrics = metrics[:-1]
            table = _table(part, metrics, console.encoding, most_rows)
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


def _table(summary: Summary, metrics: list[str], encoding: str, most_rows: int) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    any_failed = any(setting.n_failed for setting in summary.settings)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in setting_names(summary.swept):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("n", justify="right", no_wrap=True)
    if any_failed:
        table.add_column("not done", justify="right")
    for metric in metrics:
        table.add_column(metric_name(metric), justify="right", overflow="fold")
    columns = [value_texts([setting.values[key] for setting in summary.settings]) for key in summary.swept]
    for i, setting in enumerate(summary.settings[:most_rows]):
        cells = [column[i] for column in columns]
        cells.append(str(len(setting.done)))
        if any_failed:
            cells.append(str(setting.n_failed or ""))
        cells += [_estimate(setting, metric, encoding) for metric in metrics]
        table.add_row(*map(Text, cells))
    return table


def _estimate(setting: Setting, metric: str, encoding: str) -> str:
    found = setting.estimate(metric)
    return estimate_text(found.mean, found.half_width, "±" if "utf" in encoding.lower() else "+-")


_STYLES = {"supported": "green", "not supported": "red", "inconclusive": "yellow"}


def print_findings(findings: "Sequence[Finding]", console: "Console") -> None:
    """Print for each claim its verdict, what was found, and why; the claims first, then their controls."""
    if not findings:
        return
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for finding in sorted(findings, key=lambda finding: finding.is_control):
        verdict = Text(finding.verdict, f"bold {_STYLES[finding.verdict]}")
        text = Text(f"Control: {finding.text}" if finding.is_control else finding.text)
        grid.add_row(verdict, text.append(f"\n{_found(finding)}{finding.reason}", "dim"))
    console.print(grid)


def _found(finding: "Finding") -> str:
    if math.isnan(finding.estimate):
        return ""
    low, high = value_text(finding.low), value_text(finding.high)
    return f"{value_text(finding.estimate)} [{low}, {high}] over {finding.n} seeds. "


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
            console.print(
                f"{run.status}: {run.run_id}{error} ({log})",
                style="red" if run.error else "yellow",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


def tensorboard_command(folder: Path) -> str:
    """Return what to type to look at the runs of a folder."""
    return f"tensorboard --logdir {shlex.quote(shown_path(folder))}"


def shown_path(path: Path) -> str:
    """Return a path as a person in the working directory would type it."""
    try:
        return os.fspath(path.resolve().relative_to(Path.cwd())) or "."
    except (ValueError, OSError):
        return os.fspath(path)
