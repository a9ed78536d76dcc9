"""A sweep's report: verdicts first, then figures, the table, and how to make it again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlexp.records.run import DONE
from dlexp.results.summary import Summary
from dlexp.studies.claims.definition import Finding
from dlexp.studies.report.environment import render
from dlexp.studies.report.images import Figure, embedded
from dlexp.studies.report.provenance import facts, settings_besides, shared_settings
from dlexp.studies.report.settings import settings_table
from dlexp.studies.report.verdicts import counts, entry


def render_report(
    study: Mapping[str, Any] | None,
    summary: Summary,
    findings: Sequence[Finding],
    figures: Sequence[Figure],
    folder: Path,
) -> str:
    """Return a sweep's report as one HTML document that needs nothing besides itself.

    `study` is the content of ``study.json``, None for a sweep without one. The same arguments give the same
    text: no time of writing is in it.

    Raises:
        OSError: a figure cannot be read.
    """
    study = study or {}
    claims = [finding for finding in findings if not finding.is_control]
    return render(
        "report.html",
        name=study.get("name") or folder.resolve().name,
        question=study.get("question"),
        fast=study.get("fast", False),
        command=study.get("command"),
        sources=_sources(study, findings),
        counts=counts(claims),
        claims=[entry(finding) for finding in claims],
        controls=[entry(finding) for finding in findings if finding.is_control],
        figures=[(figure, embedded(figure)) for figure in figures],
        table=settings_table(summary, study),
        facts=facts(summary, study.get("seconds")),
        shared=shared_settings(summary),
        besides=settings_besides(summary),
        n_runs=len(summary.runs),
        not_done=[run for run in summary.runs if run.status != DONE],
    )


def _sources(study: Mapping[str, Any], findings: Sequence[Finding]) -> list[str]:
    """Return the study's sources; if it lists none, those of its claims."""
    named = study.get("sources") or [finding.source for finding in findings]
    return list(dict.fromkeys(source for source in named if source))
