"""Many studies in one folder: their index page, each claim with its verdict and figure."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from dlexp.files import write_atomically
from dlexp.records.folders import NoRunsError
from dlexp.studies.results import Results, read
from dlexp.studies.study import FILE

if TYPE_CHECKING:
    from dlexp.studies.report import Figure


def read_studies(folder: Path) -> list[Results]:
    """Return the results of each study in a folder, by name; quick looks only where there is nothing else."""
    found = []
    for path in sorted(folder.glob(f"*/{FILE}")):
        try:
            results = read(path.parent)
        except NoRunsError:
            continue
        if results.study is not None:
            found.append(results)
    full = [results for results in found if results.study and not results.study.fast]
    return full or found


def write_index(folder: Path) -> Path | None:
    """Write ``index.html`` over the studies in a folder and return its path; None if there are none.

    Raises:
        OSError: the folder cannot be written.
    """
    from dlexp.studies.report import IndexEntry, render_index

    pages = [
        IndexEntry(
            asdict(results.study), results.findings, figures_of(results), f"{results.folder.name}/report.html"
        )
        for results in read_studies(folder)
        if results.study is not None
    ]
    return write_atomically(folder / "index.html", render_index(pages)) if pages else None


def figures_of(results: Results) -> "list[Figure]":
    """Return the figures of a study that are on disk, in the order of its file."""
    from dlexp.studies.report import Figure

    drawings = results.study.drawings if results.study else ()
    figures = [(d, results.folder / "figures" / f"{d.name}.png") for d in drawings]
    return [Figure(d.name, d.title, d.caption, path) for d, path in figures if path.exists()]
