"""The index over many studies: each claim, its verdict, its figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlexp.studies.claims.definition import Finding
from dlexp.studies.report.environment import render
from dlexp.studies.report.images import Figure, thumbnail
from dlexp.studies.report.verdicts import Entry, counts, entry


@dataclass(frozen=True)
class IndexEntry:
    """A study in the index: the content of its ``study.json``, its findings and figures.

    `link` is the address of its report from the index's folder, such as ``double_descent/report.html``.
    """

    study: Mapping[str, Any]
    findings: Sequence[Finding]
    figures: Sequence[Figure]
    link: str


@dataclass(frozen=True)
class _Group:
    """The claims that a figure shows; `image` is None for those without a figure."""

    figure: Figure | None
    image: str | None
    claims: list[Entry]


def render_index(pages: Sequence[IndexEntry]) -> str:
    """Return the index over studies as one HTML document; only its links to the reports lead out of it.

    Raises:
        OSError: a figure cannot be read.
    """
    findings = [finding for page in pages for finding in page.findings if not finding.is_control]
    studies = [(page, counts(_claims(page)), _groups(page)) for page in pages]
    return render("index.html", studies=studies, counts=counts(findings), n_claims=len(findings))


def _claims(page: IndexEntry) -> list[Finding]:
    return [finding for finding in page.findings if not finding.is_control]


def _groups(page: IndexEntry) -> list[_Group]:
    """Return the claims by figure, in the figures' order; last the claims without one."""
    claims = _claims(page)
    groups = []
    for figure in page.figures:
        shown = [entry(finding) for finding in claims if finding.figure == figure.name]
        if shown:
            groups.append(_Group(figure, thumbnail(figure), shown))
    names = {figure.name for figure in page.figures}
    others = [entry(finding) for finding in claims if finding.figure not in names]
    return [*groups, *([_Group(None, None, others)] if others else [])]
