"""The table of a sweep's settings: a row a setting, cells that can be sorted as numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlexp.report.names import metric_name, setting_names
from dlexp.report.texts import estimate_text, value_texts
from dlexp.results.summary import Setting, Summary, is_number

if TYPE_CHECKING:
    from dlexp.results.study import Study

_USUAL = ("test/loss", "test/error", "train/loss", "train/error")
_MOST_METRICS = 6  # more are shown on demand


@dataclass(frozen=True)
class Column:
    """A column's name and its full key."""

    name: str
    key: str


@dataclass(frozen=True)
class Cell:
    """A cell's text, and the number it is sorted by if it is one."""

    text: str
    number: float | None = None

    @property
    def sorted_by(self) -> str | None:
        """The number as JavaScript reads it."""
        if self.number is None or math.isnan(self.number):
            return None
        return repr(float(self.number)).replace("inf", "Infinity")


@dataclass(frozen=True)
class SettingsTable:
    """Columns and rows; a page shows the last `extra` columns on demand only."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    extra: int = 0


def page_table(summary: Summary, study: "Study") -> SettingsTable:
    """Return the table of a report: of more than six metrics those that are not the main ones on demand."""
    main = main_metrics(summary.metrics, study)
    metrics = [*main, *(metric for metric in summary.metrics if metric not in main)]
    extra = len(metrics) - len(main[:_MOST_METRICS]) if len(metrics) > _MOST_METRICS else 0
    return settings_table(summary, metrics, extra=extra)


def settings_table(
    summary: Summary, metrics: Sequence[str], *, extra: int = 0, sign: str = "±"
) -> SettingsTable:
    """Return a row a setting: what was swept, runs done and not, metrics as mean and half-width."""
    settings, swept = summary.settings, summary.swept
    counted = {"n": [len(setting.done) for setting in settings]}
    keys = [*swept, "runs that are done"]
    if any(setting.n_failed for setting in settings):
        counted["not done"] = [setting.n_failed for setting in settings]
        keys.append("runs that failed, diverged or did not finish")
    names = [*setting_names(swept), *counted, *map(metric_name, metrics)]
    cells = [
        *(_value_cells([setting.values[key] for setting in settings]) for key in swept),
        *([Cell(str(count), count) for count in counts] for counts in counted.values()),
        *([_metric_cell(setting, metric, sign) for setting in settings] for metric in metrics),
    ]
    columns = tuple(Column(name, key) for name, key in zip(names, [*keys, *metrics], strict=True))
    return SettingsTable(columns, tuple(zip(*cells, strict=True)), extra)


def main_metrics(metrics: tuple[str, ...], study: "Study | None") -> list[str]:
    """Return the metrics to show first: the study's own, those of its claims, or the losses."""
    terms = [term for claim in study.claims for term in claim.statistic.terms] if study else []
    claimed = [term.metric for term in terms if not isinstance(term, float)]
    for named in (study.metrics if study else (), claimed, _USUAL):
        found = dict.fromkeys(metric for metric in named if metric in metrics)
        if found:
            return list(found)
    return list(metrics[:_MOST_METRICS])


def _value_cells(values: list[Any]) -> list[Cell]:
    numbers = (value if is_number(value) else None for value in values)
    return [Cell(text, number) for text, number in zip(value_texts(values), numbers, strict=True)]


def _metric_cell(setting: Setting, metric: str, sign: str) -> Cell:
    found = setting.estimate(metric)
    text = estimate_text(found.mean, found.half_width, sign)
    if 0 < found.n < len(setting.done):
        text += f" (n = {found.n})"
    return Cell(text, found.mean)
