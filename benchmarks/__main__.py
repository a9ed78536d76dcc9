"""Time dlexp beside other ways of doing the same: python -m benchmarks [--only measures,step] [--quick]"""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # torch reads it when it is imported

import torch

from benchmarks import measures, replay, report, stacks, step, sweep
from benchmarks.timing import Section, Settings
from dlexp.train.lightning import quiet_libraries

SECTIONS: Mapping[str, Callable[[Settings], Section]] = {
    "measures": measures.measure,
    "step": step.measure,
    "stacks": stacks.measure,
    "overhead": sweep.overhead,
    "growth": stacks.growth,
    "replay": replay.measure,
    "buckets": stacks.buckets,
    "sweep": sweep.end_to_end,
}
DEFAULT = ("measures", "step", "stacks", "overhead", "growth")


def main() -> None:
    """Read the command line and run the sections that it asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    default = ", ".join(DEFAULT)
    parser.add_argument(
        "--only", metavar="A,B", help=f"of {', '.join(SECTIONS)}, or all; without it {default}"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, once: to see that everything runs")
    parser.add_argument("--device", default="cpu", help="cpu or cuda; the measures are timed on the CPU")
    parser.add_argument("--folder", default="outputs/bench", type=Path, help="for bench.json and growth.png")
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else DEFAULT
    settings = Settings(torch.device(arguments.device), arguments.quick)
    try:
        run(SECTIONS if arguments.only == "all" else names, settings, arguments.folder)
    except ValueError as error:
        parser.error(str(error))


def run(names: Sequence[str] | Mapping[str, object], settings: Settings, folder: Path) -> None:
    """Run sections, print each when it is done and write it into ``folder``.

    Everything runs on one CPU thread. Raises ``ValueError`` for a section that does not exist.
    """
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise ValueError(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    torch.set_num_threads(1)
    logging.getLogger().addHandler(logging.NullHandler())
    quiet_libraries()
    for name in names:
        section = SECTIONS[name](settings)
        print(f"\n{name}\n\n{report.markdown(section)}", flush=True)
        report.write(name, section, settings, " ".join(sys.argv), folder)
        if name == "growth":
            report.draw_growth(section, settings, folder / "growth")
    print(
        f"{report.device_name(settings.device)}, torch {torch.__version__}. Medians; ratios are of "
        f"{settings.clock} time, to the way with ratio 1; differences are in float64. Also in {folder}."
    )


if __name__ == "__main__":
    main()
