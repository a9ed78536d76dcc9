"""What is drawn of a sweep that has no figures of its own: its losses against each swept setting."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from dlexp.report.charts import DISTINCT_LINES, Chart, Line, charts
from dlexp.report.names import axis_name, metric_name, setting_name
from dlexp.results.study import Figure
from dlexp.results.summary import is_number
from dlexp.results.table import Point, Table, TableError, point_of

QUANTITIES = {"loss": ("test/loss", "train/loss"), "error": ("test/error", "train/error")}
"""What is drawn of every sweep, the test set above: file name, metrics."""

_LOG_FROM = 30  # the ratio of the largest value to the smallest from which an axis is logarithmic
_LABELS = 5  # of many lines those that are named


def default_figures(table: Table, name: str) -> list[Figure]:
    """Return a figure ``<quantity>_against_<key>`` for each chart and quantity that the runs have."""
    figures = []
    for chart in charts(table.summary):
        for quantity, metrics in QUANTITIES.items():
            present = [metric for metric in metrics if any(_points(line, metric) for line in chart.lines)]
            if present:
                figures.append(
                    Figure(
                        name=f"{quantity}_against_{chart.key}",
                        title=f"{name}: {quantity} against {setting_name(chart.key)}",
                        caption=" ".join(chart.notes),
                        panels=(len(present), len(chart.columns)),
                        size=None,
                        draw=partial(_draw, chart, present),
                    )
                )
    return figures


def metric_figure(table: Table, metric: str, along: str, title: str) -> Figure:
    """Return the figure of any metric against a swept setting, a line for each of the others.

    Raises ``TableError`` for a setting that was not swept, or a metric that no run has.
    """
    chart = next((chart for chart in charts(table.summary) if chart.key == along), None)
    if chart is None:
        swept = ", ".join(chart.key for chart in charts(table.summary)) or "nothing"
        raise TableError(f"along={along} is not allowed: what was swept is {swept}.")
    if not any(_points(line, metric) for line in chart.lines):
        raise TableError(f"No run has the metric {metric}.")
    return Figure(
        name=f"{metric.replace('/', '_')}_against_{along}",
        title=title,
        caption=" ".join(chart.notes),
        panels=(1, len(chart.columns)),
        size=None,
        draw=partial(_draw, chart, [metric]),
    )


def _points(line: Line, metric: str) -> list[Point]:
    return [point_of(setting, x, metric) for x, setting in line.points if setting.estimate(metric).n]


def _draw(chart: Chart, metrics: Sequence[str], axes: Any, table: Table) -> None:
    panels = iter(axes if isinstance(axes, list) else [axes])
    for row, metric in enumerate(metrics):
        values = [v for line in chart.lines for point in _points(line, metric) for v in point.values]
        for column, (title, lines) in enumerate(chart.columns.items()):
            panel = next(panels)
            panel.set(
                title="" if row else title,
                ylabel="" if column else metric_name(metric),
                xlabel=axis_name(chart.key) if metric == metrics[-1] else "",
            )
            _draw_panel(panel, chart, lines, metric, _spans(values))


def _draw_panel(panel: Any, chart: Chart, lines: Sequence[Line], metric: str, is_log: bool) -> None:
    from dlexp.plots import band, bars, crossing, log, ramp, ticks_at

    if is_log:
        log(panel, "y")
    if chart.categories:
        bars(panel, _groups(chart, lines, metric))
        return
    positions = sorted({x for line in lines for x, _ in line.points})
    if _spans(positions) and positions[0] > 0:
        log(panel, "x")
    elif _spans(positions):
        panel.set_xscale("symlog", linthresh=positions[1])
    if len(lines) <= DISTINCT_LINES:
        for line in lines:
            band(panel, _points(line, metric), line.label)
    else:
        last = len(lines) - 1
        named = {round(i * last / (_LABELS - 1)) for i in range(_LABELS)}
        for i, (line, colour) in enumerate(zip(lines, ramp(len(lines)), strict=True)):
            points = _points(line, metric)
            label = line.label if i in named else f"_{line.label}"
            panel.plot([p.x for p in points], [p.mean for p in points], ".-", color=colour, label=label)
    ticks_at(panel, positions)
    thresholds = [_threshold(line) for line in lines]
    if thresholds[0] and all(found == thresholds[0] for found in thresholds):
        parameters, constraints, text = thresholds[0]
        crossing(panel, parameters, constraints, text)


def _groups(chart: Chart, lines: Sequence[Line], metric: str) -> dict[str, Sequence[float | None]]:
    groups: dict[str, Sequence[float | None]] = {}
    for line in lines:
        for x, setting in line.points:
            label = chart.categories[int(x)]
            groups[f"{label}\n{line.label}" if line.label else label] = setting.replicates(metric)
    return groups


def _threshold(line: Line) -> tuple[list[Point], list[Point], str] | None:
    """Return a line's parameters, its samples times outputs, and what it means that they are equal."""
    parameters, constraints, text = [], [], "parameters = samples"
    for x, setting in line.points:
        settings = setting.done[0].settings
        found = setting.estimate("model/parameters").mean
        samples, outputs = settings.get("data.n_train"), settings.get("data.output_dim") or 1
        if not (found > 0 and is_number(samples) and is_number(outputs) and samples * outputs > 0):
            return None
        text = "parameters = samples × outputs" if outputs > 1 else text
        parameters.append(Point(x, found, found, found, ()))
        constraints.append(Point(x, samples * outputs, 0, 0, ()))
    return parameters, constraints, text


def _spans(values: Sequence[float]) -> bool:
    """Return whether values spread over a factor that a linear axis does not show."""
    positive = [value for value in values if value > 0]
    return bool(positive) and min(values) >= 0 and max(positive) > _LOG_FROM * min(positive)
