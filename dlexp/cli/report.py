"""``python scripts/report.py outputs/NAME``: make tables and figures of a folder of runs anew from disk."""

import argparse
import sys
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from dlexp.records.folders import NoRunsError
from dlexp.report.results import read, rebuild
from dlexp.report.terminal import shown_path


def main(arguments: Sequence[str] | None = None) -> int:
    """Rebuild and print a folder's results; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="report.py",
        description="Make the tables, verdicts, figures and report of a folder of runs anew, and print the "
        "table. Works at any time, also while a sweep runs. Of a folder of studies: index.html.",
    )
    parser.add_argument("folder", help="a sweep's folder, such as outputs/NAME, or outputs itself")
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run the study's Python in the folder, where none of that name is installed; it may do anything",
    )
    parsed = parser.parse_args(arguments)
    return report(parsed.folder, trust=parsed.trust)


def report(folder: str | PathLike[str], *, trust: bool = False) -> int:
    """Rebuild a folder's results and print them; return the exit code, with one sentence if it is not 0.

    What can be read is shown also where nothing can be written: a read-only folder, a full disk. `trust` says
    whether the study's Python in the folder may run.
    """
    try:
        results = rebuild(folder, trust=trust)
    except NoRunsError as error:
        from dlexp.report.index import write_index

        index = write_index(Path(folder))
        print(error if index is None else shown_path(index), file=sys.stderr if index is None else sys.stdout)
        return int(index is None)
    except OSError as error:
        read(folder, trust=trust).print()
        print(f"{error.filename or folder} cannot be written: {error.strerror or error}.", file=sys.stderr)
        return 1
    results.print()
    return 0
