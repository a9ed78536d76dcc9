"""What a benchmark found: a table on the terminal, JSON, Markdown, and the figure of growth."""

import json
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dlexp.bench.timing import Row, Section, Settings
from dlexp.records.files import write_atomically

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = ("case", "way", "CPU", "wall", "ratio", "difference", "GFLOP/s", "note")


def print_section(name: str, section: Section, console: "Console") -> None:
    """Print a section: a table for each case with the notes on its ways, then the remarks."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    console.rule(name)
    for case, rows in groupby(section.rows, key=lambda row: row.case):
        found = list(rows)
        columns, lines = _filled(found, COLUMNS[1:-1])
        table = Table(*columns, title=case, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
        for column in table.columns[1:]:
            column.justify = "right"
        for line in lines:
            table.add_row(*line)
        console.print(table)
        for row in found:
            if row.note:
                console.print(f"  {row.way}: {row.note}", highlight=False, soft_wrap=True)
    for remark in section.remarks:
        console.print(remark, highlight=False, soft_wrap=True)


def markdown(section: Section) -> str:
    """Return a section as a Markdown table and its remarks."""
    columns, lines = _filled(section.rows, COLUMNS)
    table = [columns, ["---"] * len(columns), *lines]
    text = "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in table)
    return text + "".join(f"\n\n{remark}" for remark in section.remarks) + "\n"


def write(name: str, section: Section, settings: Settings, command: str, folder: Path) -> Path:
    """Put a section into ``bench.json``, in place of an earlier one of that name; also write it as Markdown.

    Every section says when and by which command it was measured, on what and with which versions.
    """
    path = folder / "bench.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        content = {}
    content[name] = {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device_name(settings.device),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "quick": settings.quick,
        "ratios_of": f"{settings.clock} time",
        "rows": [asdict(row) for row in section.rows],
        "remarks": section.remarks,
    }
    write_atomically(path, json.dumps(content, indent=1) + "\n")
    write_atomically(folder / f"{name}.md", markdown(section))
    return path


def draw_growth(section: Section, settings: Settings, stem: Path) -> Path:
    """Draw the time of a member's step against the number of members, as PNG and SVG; return the PNG."""
    from matplotlib.figure import Figure

    from dlexp.plots.style import COLOURS, DASHES, MARKERS, look, save

    by_way: dict[str, list[tuple[int, float]]] = {}
    for row in section.rows:
        members = int(row.case.split()[0])
        by_way.setdefault(row.way, []).append((members, getattr(row, settings.clock)))
    with look():
        figure = Figure(figsize=(5, 3.5), layout="constrained")
        axes = figure.subplots()
        for (way, points), colour, marker, dash in zip(
            by_way.items(), COLOURS, MARKERS, DASHES, strict=False
        ):
            axes.loglog(*zip(*points, strict=True), label=way, color=colour, marker=marker, linestyle=dash)
        axes.set_xlabel("networks 10-50-1 trained at once")
        axes.set_ylabel(
            f"{_clock_name(settings)} of one network's step ({section.rows[0].unit.split('/')[0]})"
        )
        axes.legend()
        return save(figure, stem)[0]


def device_name(device: torch.device) -> str:
    """Return the name of the GPU, or of the processor where the system tells it, and its threads in use."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        models = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        models = []
    name = models[0] if models else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} thread"


def _clock_name(settings: Settings) -> str:
    return {"cpu": "CPU time", "wall": "wall time"}[settings.clock]


def _filled(rows: Sequence[Row], columns: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return those of the columns that say something, and the rows' cells in them."""
    cells = [_cells(row) for row in rows]
    kept = [column for column in columns if any(cell[column] for cell in cells)]
    return kept, [[cell[column] for column in kept] for cell in cells]


def _cells(row: Row) -> dict[str, str]:
    return {
        "case": row.case,
        "way": row.way,
        "CPU": f"{_number(row.cpu)} {row.unit}",
        "wall": f"{_number(row.wall)} {row.unit}",
        "ratio": f"{_number(row.ratio)}x",
        "difference": "" if row.difference is None else f"{row.difference:.0e}",
        "GFLOP/s": "" if row.gflops is None else _number(row.gflops),
        "note": row.note,
    }


def _number(value: float) -> str:
    """Return three significant digits, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"
