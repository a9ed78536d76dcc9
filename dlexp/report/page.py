"""A sweep's report: verdicts first, then figures, the table, and how to make it again.

Everything put into its templates is escaped, and a page's policy lets it load nothing.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlexp.records.run import DONE
from dlexp.report.images import Drawn, embedded
from dlexp.report.provenance import doubts, facts, settings_besides, shared_settings
from dlexp.report.settings import page_table
from dlexp.report.verdicts import LOOKS, counts, entry
from dlexp.results.claims import Finding
from dlexp.results.study import Study
from dlexp.results.summary import Summary

if TYPE_CHECKING:
    from jinja2 import Environment


def render_report(
    study: Study | None,
    summary: Summary,
    findings: Sequence[Finding],
    figures: Sequence[Drawn],
    folder: Path,
) -> str:
    """Return a sweep's report as one HTML document that needs nothing besides itself.

    The same arguments give the same text: no time of writing is in it.

    Args:
        study: what the sweep asks; None for a sweep without a study.
        summary: of its runs.
        findings: what they say of the study's claims.
        figures: what was drawn of them, and what could not be.
        folder: the sweep's; a sweep without a study is called as it is.

    Raises:
        OSError: a figure cannot be read.
    """
    claims = [finding for finding in findings if not finding.is_control]
    study = study or Study(folder.resolve().name)
    sources = study.sources or [finding.source for finding in findings]
    return render(
        "report.html",
        study=study,
        notices=[*study.notices, *doubts(summary.runs)],
        sources=list(dict.fromkeys(source for source in sources if source)),
        counts=counts(claims),
        claims=[entry(finding) for finding in claims],
        controls=[entry(finding) for finding in findings if finding.is_control],
        figures=[(figure, None if figure.problem else embedded(figure)) for figure in figures],
        table=page_table(summary, study),
        facts=facts(summary, study.seconds),
        shared=shared_settings(summary),
        besides=settings_besides(summary),
        n_runs=len(summary.runs),
        not_done=[run for run in summary.runs if run.status != DONE],
    )


def render(template: str, **context: Any) -> str:
    """Render a page from the package's templates, with style and script inside it."""
    script = _source("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = _environment().get_template(template)
    return page.render(script=script, script_digest=digest, style=_source("style.css"), **context)


def _source(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("dlexp.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["looks"] = LOOKS
    return environment
