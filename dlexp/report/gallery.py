"""A page of the documentation that shows the studies: a figure of each, a table of claims and verdicts.

All of it follows from one file, ``gallery.json``, which also says for which settings it was made.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dlexp.report.results import Results
from dlexp.report.texts import region_text
from dlexp.report.verdicts import LOOKS, found_text
from dlexp.results.claims import Finding

HEAD = """# Gallery

Made by `make gallery`: the main figure of each study, its claims (controls are in the report), and for each
claim the estimate with its 95 % interval over five seeds beside what was predicted. Times are from the start
of a sweep to its last result, on one core of an AMD EPYC.
"""


def gallery_entry(results: Results, figure: str | None, settings: str) -> dict[str, Any]:
    """Return one study's entry: plain data, numbers as people write them.

    Args:
        results: of the study's folder.
        figure: the file name of its main figure; None if there is none.
        settings: the digest of the study's settings.
    """
    study = results.study
    assert study is not None
    claims = [finding for finding in results.findings if not finding.is_control]
    return {
        "settings": settings,
        "question": study.question,
        "command": study.command,
        "runs": len(results.table.rows),
        "seconds": study.seconds,
        "figure": figure,
        "title": study.figures[0].title if study.figures else "",
        "claims": [{"text": c.text, "verdict": c.verdict, "found": _found(c)} for c in claims],
    }


def _found(finding: Finding) -> str:
    """Return estimate, interval and region as text, such as ``3.1 [2.3, 4.1], predicted at least 1.5``."""
    text = found_text(finding)
    return f"{text}, predicted {region_text(finding.region)}" if text else finding.reason


def gallery_text(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page in Markdown."""
    return "\n".join([HEAD, *(line for name, entry in entries.items() for line in _study_lines(name, entry))])


def _study_lines(name: str, entry: Mapping[str, Any]) -> Sequence[str]:
    took = f", {entry['seconds']:.0f} s" if entry["seconds"] else ""
    command = f"`{entry['command']}` ({entry['runs']} runs{took})"
    lines = [f"## {name}", "", str(entry["question"]), "", command, ""]
    if entry["figure"]:
        lines += [f"![{entry['title']}](../outputs/gallery/{entry['figure']})", ""]
    lines += ["| claim | verdict | estimate, 95 % interval |", "| --- | --- | --- |"]
    for claim in entry["claims"]:
        cells = [claim["text"], f"{LOOKS[claim['verdict']].symbol} {claim['verdict']}", claim["found"]]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return [*lines, ""]
