"""Claims as the report shows them: verdict, numbers as text, the interval against the region."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlexp.studies.report.bars import Bar, interval_bar
from dlexp.studies.report.texts import number_texts, region_text

if TYPE_CHECKING:
    from dlexp.studies.claims import Finding

# In the order in which they are counted: symbol and style class, so that colour is never alone.
_LOOKS = {"supported": ("✓", "yes"), "not supported": ("✗", "no"), "inconclusive": ("?", "open")}


@dataclass(frozen=True)
class Verdict:
    """A verdict as a word, a symbol and a style class."""

    word: str

    @property
    def symbol(self) -> str:
        """What marks it beside its word."""
        return _LOOKS[self.word][0]

    @property
    def style(self) -> str:
        """The class that colours it."""
        return _LOOKS[self.word][1]


@dataclass(frozen=True)
class Entry:
    """A finding and its numbers as text."""

    finding: "Finding"
    verdict: Verdict
    estimate: str
    interval: str
    region: str
    bar: Bar | None
    controls: tuple[tuple[str, Verdict], ...]
    values: tuple[tuple[str, str], ...]


def entry(finding: "Finding") -> Entry:
    """Return what the report shows of a finding."""
    interval, region = (finding.low, finding.high), (finding.region[0], finding.region[1])
    estimate, low, high, *ends = number_texts([finding.estimate, *interval, *region])
    return Entry(
        finding=finding,
        verdict=Verdict(finding.verdict),
        estimate=estimate,
        interval=f"{low} to {high}",
        region=region_text(region, ends[0], ends[1]),
        bar=interval_bar(finding.estimate, interval, region, (low, high), (ends[0], ends[1])),
        controls=tuple((name, Verdict(verdict)) for name, verdict in finding.controls),
        values=_values(finding.values),
    )


def _values(values: Mapping[int, float]) -> tuple[tuple[str, str], ...]:
    return tuple(zip(map(str, values), number_texts(list(values.values())), strict=True))


def counts(findings: Sequence["Finding"]) -> list[tuple[int, Verdict]]:
    """Return how many findings have which verdict, those that occur."""
    words = [finding.verdict for finding in findings]
    return [(words.count(word), Verdict(word)) for word in _LOOKS if word in words]
