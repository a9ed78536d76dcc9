"""Claims as readers see them: verdict, numbers as text, the interval against the region."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dlexp.report.bars import Bar, interval_bar
from dlexp.report.texts import number_texts, region_text, value_text
from dlexp.results.claims import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Finding, Verdict


class Look(NamedTuple):
    """How a verdict is marked, so that colour is never alone: a symbol, the page's class, rich's colour."""

    symbol: str
    style: str
    colour: str


LOOKS: dict[Verdict, Look] = {
    SUPPORTED: Look("✓", "yes", "green"),
    NOT_SUPPORTED: Look("✗", "no", "red"),
    INCONCLUSIVE: Look("?", "open", "yellow"),
}
"""In the order in which verdicts are counted."""


@dataclass(frozen=True)
class Entry:
    """A finding and its numbers as text."""

    finding: Finding
    estimate: str
    interval: str
    region: str
    bar: Bar | None
    values: tuple[tuple[str, str], ...]


def entry(finding: Finding) -> Entry:
    """Return what the report shows of a finding."""
    interval = (finding.low, finding.high)
    estimate, low, high, *ends = number_texts([finding.estimate, *interval, *finding.region])
    return Entry(
        finding=finding,
        estimate=estimate,
        interval=low if low == high else f"{low} to {high}",
        region=region_text(finding.region, ends),
        bar=interval_bar(finding.estimate, interval, finding.region, (low, high), (ends[0], ends[1])),
        values=tuple(zip(map(str, finding.values), number_texts(list(finding.values.values())), strict=True)),
    )


def found_text(finding: Finding) -> str:
    """Return estimate and interval as text, ``3.1 [2.3, 4.1]``; nothing where there is no estimate."""
    if math.isnan(finding.estimate):
        return ""
    return f"{value_text(finding.estimate)} [{value_text(finding.low)}, {value_text(finding.high)}]"


def counts(findings: Sequence[Finding]) -> list[tuple[int, Verdict]]:
    """Return how many findings have which verdict, those that occur."""
    words = [finding.verdict for finding in findings]
    return [(words.count(word), word) for word in LOOKS if word in words]
