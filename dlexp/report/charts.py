"""What a figure of a sweep shows: which settings make a line, and which panel it is in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dlexp.report.names import setting_names
from dlexp.report.texts import value_texts
from dlexp.results.summary import Setting, Summary, same_partition, sort_key
from dlexp.results.table import TableError, position

# Lines that colours, markers and dashes tell apart; more are coloured by their order, without intervals.
DISTINCT_LINES = 6
MOST_COLUMNS = 4


class Line(NamedTuple):
    """Settings that differ along the axis only, each with its position on it, in order."""

    label: str
    points: Sequence[tuple[float, Setting]]


@dataclass(frozen=True)
class Chart:
    """Settings laid out against one key: for each column of panels its lines, by what holds in it.

    With `categories` the positions are 0, 1, ... in their order.
    """

    key: str
    columns: Mapping[str, Sequence[Line]]
    categories: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> list[Line]:
        """All lines, column by column."""
        return [line for lines in self.columns.values() for line in lines]


def charts(summary: Summary) -> list[Chart]:
    """Return a chart for each swept number; if only other things were swept, one for each of these."""
    usable = [setting for setting in summary.settings if setting.done]
    numeric = [
        key for key in summary.swept if len({_position(setting, key) for setting in usable} - {None}) > 1
    ]
    found = [_chart(summary, usable, key, ()) for key in numeric]
    if not numeric:
        for key in summary.swept:
            values = sorted({setting.values[key] for setting in usable}, key=sort_key)
            found.append(_chart(summary, usable, key, tuple(values)))
    return [chart for chart in found if chart]


def _position(setting: Setting, key: str) -> float | None:
    try:
        return position(setting, key)
    except TableError:
        return None


def _chart(
    summary: Summary, settings: Sequence[Setting], key: str, categories: tuple[Any, ...]
) -> Chart | None:
    runs = [run for setting in settings for run in setting.done]
    others = tuple(other for other in summary.swept if other != key and not same_partition(runs, key, other))
    points: dict[tuple[Any, ...], list[tuple[float, Setting]]] = {}
    unplaced = 0
    for setting in settings:
        position = float(categories.index(setting.values[key])) if categories else _position(setting, key)
        if position is None:
            unplaced += 1
            continue
        points.setdefault(tuple(setting.values[other] for other in others), []).append((position, setting))
    long = {values: line for values, line in points.items() if len(line) > 1}
    if not long:
        return None
    notes = []
    if unplaced:
        notes.append(f"{_settings(unplaced)} without this key left out.")
    if len(long) < len(points):
        notes.append(f"{_settings(len(points) - len(long))} measured at one value only left out.")
    column_key = _column_key(others, list(long))
    names = dict(zip(others, setting_names(others), strict=True))
    texts = {
        other: dict(zip(column, value_texts(column), strict=True))
        for other, column in zip(others, zip(*long, strict=True), strict=True)
    }
    columns: dict[str, list[Line]] = {}
    for values in sorted(long, key=lambda values: tuple(map(sort_key, values))):
        by_key = dict(zip(others, values, strict=True))
        title = f"{names[column_key]} {texts[column_key][by_key[column_key]]}" if column_key else ""
        label = ", ".join(texts[other][by_key[other]] for other in others if other != column_key)
        columns.setdefault(title, []).append(Line(label, sorted(long[values], key=lambda point: point[0])))
    return Chart(key, columns, tuple(value_texts(categories)), tuple(notes))


def _settings(count: int) -> str:
    return f"{count} setting{'s' if count > 1 else ''}"


def _column_key(others: tuple[str, ...], lines: Sequence[tuple[Any, ...]]) -> str | None:
    """Return the key with the fewest values, to spread over columns when one panel holds too many lines."""
    if len(lines) <= DISTINCT_LINES or len(others) < 2:
        return None
    counts = {other: len({values[i] for values in lines}) for i, other in enumerate(others)}
    possible = [other for other in others if 1 < counts[other] <= MOST_COLUMNS]
    return min(possible, key=counts.__getitem__) if possible else None
