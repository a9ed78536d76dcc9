"""Time dlexp beside other ways of doing the same: python scripts/bench.py [--only measures,step] [--quick]"""

import argparse
import os
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description="Time dlexp beside other ways of doing the same.")
    parser.add_argument(
        "--only",
        default="",
        metavar="A,B",
        help="of measures, step, stacks, overhead, growth, buckets, sweep; without it the first five",
    )
    parser.add_argument("--all", action="store_true", help="every section")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, once: to see that everything runs")
    parser.add_argument("--device", default="cpu", help="cpu or cuda; the measures are timed on the CPU")
    parser.add_argument("--folder", default="outputs/bench", type=Path, help="for bench.json and growth.png")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # torch reads it when it is imported
    import torch

    from dlexp.bench.sections import DEFAULT, SECTIONS, run
    from dlexp.bench.timing import Settings

    names = list(filter(None, arguments.only.split(","))) or list(SECTIONS if arguments.all else DEFAULT)
    settings = Settings(torch.device(arguments.device), arguments.quick)
    try:
        run(names, settings, arguments.folder, " ".join(["python", *sys.argv]))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
