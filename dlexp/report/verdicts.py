"""Claims as the report shows them: verdict, numbers as text, the interval against the region."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlexp.report.bars import Bar, interval_bar
from dlexp.report.texts import number_texts, region_text
from dlexp.results.claims import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Finding, Verdict

# In the order in which they are counted: symbol and style class, so that colour is never alone.
_LOOKS: dict[Verdict, tuple[str, str]] = {
    SUPPORTED: ("✓", "yes"),
    NOT_SUPPORTED: ("✗", "no"),
    INCONCLUSIVE: ("?", "open"),
}


@dataclass(frozen=True)
class Badge:
    """A verdict as a word, a symbol and a style class."""

    word: Verdict

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

    finding: Finding
    badge: Badge
    estimate: str
    interval: str
    region: str
    bar: Bar | None
    controls: tuple[tuple[str, Badge], ...]
    values: tuple[tuple[str, str], ...]


def entry(finding: Finding) -> Entry:
    """Return what the report shows of a finding."""
    interval = (finding.low, finding.high)
    estimate, low, high, first, last = number_texts([finding.estimate, *interval, *finding.region])
    return Entry(
        finding=finding,
        badge=Badge(finding.verdict),
        estimate=estimate,
        interval=low if low == high else f"{low} to {high}",
        region=region_text(finding.region, first, last),
        bar=interval_bar(finding.estimate, interval, finding.region, (low, high), (first, last)),
        controls=tuple((name, Badge(word)) for name, word in finding.controls),
        values=_values(finding.values),
    )


def _values(values: Mapping[int | str, float]) -> tuple[tuple[str, str], ...]:
    return tuple(zip(map(str, values), number_texts(list(values.values())), strict=True))


def counts(findings: Sequence[Finding]) -> list[tuple[int, Badge]]:
    """Return how many findings have which verdict, those that occur."""
    words = [finding.verdict for finding in findings]
    return [(words.count(word), Badge(word)) for word in _LOOKS if word in words]
