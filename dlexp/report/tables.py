"""The tables of a folder of runs: a row a setting, a row a run, and how they are written."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlexp.results.seeds import is_seed
from dlexp.results.summary import Summary

if TYPE_CHECKING:
    import pandas

COUNTS = ("n", "n_failed")
"""The columns of a summary that has no rows."""


def summary_rows(summary: Summary) -> list[dict[str, Any]]:
    """Return a row a setting: its keys, n, n_failed, and each metric's mean, sd, low, high and n."""
    rows = []
    for setting in summary.settings:
        row = {**setting.values, "n": len(setting.done), "n_failed": setting.n_failed}
        for metric in summary.metrics:
            found = setting.estimate(metric)
            for part in ("mean", "sd", "low", "high", "n"):
                row[f"{metric}_{part}"] = getattr(found, part)
        rows.append(row)
    return rows


def summary_table(summary: Summary) -> "pandas.DataFrame":
    """Return :func:`summary_rows` as a table, each column of the type of its values."""
    import pandas

    rows = summary_rows(summary)
    # Objects first, so that whole numbers stay whole beside absent ones.
    table = pandas.DataFrame(rows, dtype=object, columns=None if rows else COUNTS)
    return table.infer_objects()


def runs_rows(summary: Summary) -> list[dict[str, Any]]:
    """Return a row a run, in the settings' order: run_id, status, seeds, the varying keys, metrics, error."""
    runs = summary.runs
    seeds = dict.fromkeys(key for run in runs for key in run.settings if is_seed(key) and key != "seed")
    apart = [key for key in seeds if any(run.settings.get(key, run.seed) != run.seed for run in runs)]
    keys = [*apart, *summary.keys]
    return [
        {
            "run_id": run.run_id,
            "status": run.status,
            "seed": run.seed,
            **{key: run.settings.get(key) for key in keys},
            **{name: run.metrics.get(name, math.nan) for name in summary.metrics},
            "error": run.error,
        }
        for run in runs
    ]


def csv_text(rows: Sequence[Mapping[str, Any]], without_rows: Sequence[str] = ()) -> str:
    """Return rows as CSV with a header; None and NaN are empty cells, as pandas writes and reads them.

    A text that a spreadsheet would run (one that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage
    return) has an apostrophe before it; numbers stay numbers. ``without_rows`` are the columns where there
    are none. Without pandas, whose import takes as long as all else in the report of a small sweep.

    >>> csv_text([{"note": "=1+1", "change": -0.5, "test/loss": float("nan")}])
    "note,change,test/loss\\n'=1+1,-0.5,\\n"
    """
    text = io.StringIO(newline="")
    columns = list(dict.fromkeys(name for row in rows for name in row)) or list(without_rows)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_cell, columns))
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        is_run = value.startswith(("=", "+", "-", "@", "\t", "\r")) and not _is_numeral(value)
        return ("'" if is_run else "") + value.replace("\r", "\n")  # a lone \r, not quoted, would end the row
    return "" if value != value else value  # NaN


def _is_numeral(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isprintable()
