"""The sections of the benchmark, by name, and running some of them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Console

from dlexp.bench import buckets, measures, report, stacks, sweep, training
from dlexp.bench.timing import Section, Settings
from dlexp.training.quiet import quiet_libraries

SECTIONS: Mapping[str, Callable[[Settings], Section]] = {
    "measures": measures.measure,
    "step": training.measure,
    "stacks": stacks.measure,
    "overhead": sweep.overhead,
    "growth": stacks.growth,
    "buckets": buckets.measure,
    "sweep": sweep.end_to_end,
}
DEFAULT = ("measures", "step", "stacks", "overhead", "growth")


def run(names: Sequence[str], settings: Settings, folder: Path, command: str) -> None:
    """Run sections, print each when it is done and write it into ``folder``.

    Everything runs on one CPU thread. Raises ``ValueError`` for a section that does not exist.
    """
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise ValueError(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    torch.set_num_threads(1)
    logging.getLogger().addHandler(logging.NullHandler())
    quiet_libraries()
    console = Console()
    console.print(f"{report.device_name(settings.device)}; torch {torch.__version__}", highlight=False)
    for name in names:
        section = SECTIONS[name](settings)
        report.print_section(name, section, console)
        path = report.write(name, section, settings, command, folder)
        if name == "growth":
            report.draw_growth(section, settings, folder / "growth")
    console.print(
        f"Medians; ratios are of {settings.clock} time, to the way with ratio 1; differences are in float64. "
        f"Written to {path}, with the number of runs that each median is of.",
        highlight=False,
        soft_wrap=True,
    )
