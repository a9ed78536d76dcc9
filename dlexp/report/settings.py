"""The table of a sweep's settings: a row a setting, cells that can be sorted as numbers."""

import math
from dataclasses import dataclass
from typing import Any

from dlexp.report.default import QUANTITIES
from dlexp.report.names import estimate_text, metric_name, setting_names, value_texts
from dlexp.results.statistic import Term
from dlexp.results.study import Study
from dlexp.results.summary import Setting, Summary, is_number

_MOST_METRICS = 6  # more are shown on demand


@dataclass(frozen=True)
class Column:
    """A column's name, its full key, and whether it is shown on demand only."""

    name: str
    key: str
    extra: bool = False


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
    """Columns and rows; `extra` says whether some columns are shown on demand only."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def extra(self) -> int:
        """How many columns are shown on demand only."""
        return sum(column.extra for column in self.columns)


def settings_table(summary: Summary, study: Study) -> SettingsTable:
    """Return a row a setting: what was swept, runs done and not, metrics as mean and half-width.

    The metrics that the study names come first; of more than six the others are shown on demand.
    """
    settings = summary.settings
    main = main_metrics(summary.metrics, study)
    metrics = [*main, *(metric for metric in summary.metrics if metric not in main)]
    shown = metrics if len(metrics) <= _MOST_METRICS else main[:_MOST_METRICS]
    any_failed = any(setting.n_failed for setting in settings)
    columns = [
        Column(name, key) for name, key in zip(setting_names(summary.swept), summary.swept, strict=True)
    ]
    columns.append(Column("n", "runs that are done"))
    if any_failed:
        columns.append(Column("not done", "runs that failed, diverged or did not finish"))
    columns += [Column(metric_name(metric), metric, extra=metric not in shown) for metric in metrics]
    swept = [_setting_cells([setting.values[key] for setting in settings]) for key in summary.swept]
    rows = []
    for i, setting in enumerate(settings):
        counted = [len(setting.done), *([setting.n_failed] if any_failed else [])]
        rows.append(
            (
                *(cells[i] for cells in swept),
                *(Cell(str(count), count) for count in counted),
                *(_metric_cell(setting, metric) for metric in metrics),
            )
        )
    return SettingsTable(tuple(columns), tuple(rows))


def main_metrics(metrics: tuple[str, ...], study: Study) -> list[str]:
    """Return the metrics to show first: the study's own, those of its claims, or the losses."""
    usual = [metric for pair in QUANTITIES.values() for metric in pair]
    terms = [term for claim in study.claims for term in claim.statistic.terms]
    claimed = [term.metric for term in terms if isinstance(term, Term)]
    for named in (study.metrics, claimed, usual):
        found = dict.fromkeys(metric for metric in named if metric in metrics)
        if found:
            return list(found)
    return list(metrics[:_MOST_METRICS])


def _setting_cells(values: list[Any]) -> list[Cell]:
    texts = value_texts(values)
    return [
        Cell(text, value if is_number(value) else None) for text, value in zip(texts, values, strict=True)
    ]


def _metric_cell(setting: Setting, metric: str) -> Cell:
    found = setting.estimate(metric)
    text = estimate_text(found.mean, found.half_width)
    if 0 < found.n < len(setting.done):
        text += f" (n = {found.n})"
    return Cell(text, found.mean)
