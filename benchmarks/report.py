"""What a benchmark found: a Markdown table, JSON, and the figure of growth."""

import json
import platform
import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import Row, Section, Settings
from dlexp.records.files import write_atomically


def markdown(section: Section) -> str:
    """Return a section as a Markdown table, without columns that say nothing, and its remarks."""
    cells = [_cells(row) for row in section.rows]
    columns = [column for column in cells[0] if any(cell[column] for cell in cells)]
    table = [columns, ["---"] * len(columns), *([cell[column] for column in columns] for cell in cells)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in table)
    return text + "".join(f"\n\n{remark}" for remark in section.remarks) + "\n"


def write(name: str, section: Section, settings: Settings, command: str, folder: Path) -> None:
    """Put a section into ``bench.json``, in place of an earlier one of that name.

    Every section says when and by which command it was measured, on what and with which versions.
    """
    path = folder / "bench.json"
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
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
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(content, indent=1) + "\n")


def draw_growth(section: Section, settings: Settings, stem: Path) -> Path:
    """Draw the time of a member's step against the number of members, as PNG and SVG; return the PNG."""
    from matplotlib.figure import Figure

    from dlexp.plots.style import line_style, look, save

    with look():
        figure = Figure(figsize=(5, 3.5), layout="constrained")
        axes = figure.subplots()
        for way in dict.fromkeys(row.way for row in section.rows):
            rows = [row for row in section.rows if row.way == way]
            counts = [int(row.case.split()[0]) for row in rows]
            times = [getattr(row, settings.clock) for row in rows]
            axes.loglog(counts, times, label=way, **line_style(axes, way))
        axes.set_xlabel("networks 10-50-1 trained at once")
        clock = {"cpu": "CPU time", "wall": "wall time"}[settings.clock]
        axes.set_ylabel(f"{clock} of one network's step ({section.rows[0].unit.split('/')[0]})")
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


def _cells(row: Row) -> dict[str, str]:
    return {
        "case": row.case,
        "way": row.way,
        "CPU": f"{_number(row.cpu)} {row.unit}",
        "wall": f"{_number(row.wall)} {row.unit}",
        "ratio": f"{_number(row.ratio)}x",
        "difference": "" if row.difference is None else f"{row.difference:.0e}",
        "note": row.note,
    }


def _number(value: float) -> str:
    """Return three significant digits, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"
