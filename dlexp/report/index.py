"""The index over many studies in one folder: each claim, its verdict, its figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlexp.records.files import write_atomically
from dlexp.records.folders import NoRunsError
from dlexp.report.images import Drawn, thumbnail
from dlexp.report.page import render
from dlexp.report.results import Results, read
from dlexp.report.verdicts import Entry, counts, entry
from dlexp.results.claims import Finding
from dlexp.results.kept import FILE


@dataclass(frozen=True)
class _Group:
    """The claims that a figure shows; `image` is None for those without a figure."""

    figure: Drawn | None
    image: str | None
    claims: list[Entry]


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
        OSError: the folder cannot be written, or a figure cannot be read.
    """
    studies = read_studies(folder)
    return write_atomically(folder / "index.html", render_index(studies)) if studies else None


def render_index(studies: Sequence[Results]) -> str:
    """Return the index as one HTML document; only its links to the studies' reports lead out of it.

    Raises:
        OSError: a figure cannot be read.
    """
    every = [finding for results in studies for finding in _claims(results)]
    pages = [
        (results.study, f"{results.folder.name}/report.html", counts(_claims(results)), _groups(results))
        for results in studies
    ]
    return render("index.html", studies=pages, counts=counts(every), n_claims=len(every))


def figures_on_disk(results: Results) -> list[Drawn]:
    """Return the figures of a study that were drawn, in the order of its file."""
    figures = results.study.figures if results.study else ()
    places = [(figure, results.folder / "figures" / f"{figure.name}.png") for figure in figures]
    return [Drawn(f.name, f.title, f.caption, path) for f, path in places if path.exists()]


def _claims(results: Results) -> list[Finding]:
    return [finding for finding in results.findings if not finding.is_control]


def _groups(results: Results) -> list[_Group]:
    """Return the claims by figure, in the figures' order; last the claims without one."""
    claims, figures = _claims(results), figures_on_disk(results)
    groups = []
    for figure in figures:
        shown = [entry(finding) for finding in claims if finding.figure == figure.name]
        if shown:
            groups.append(_Group(figure, thumbnail(figure), shown))
    names = {figure.name for figure in figures}
    others = [entry(finding) for finding in claims if finding.figure not in names]
    return [*groups, *([_Group(None, None, others)] if others else [])]
