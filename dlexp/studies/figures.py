"""Figures of a sweep: a metric's mean and interval against each swept setting."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from dlexp.report.names import axis_name, metric_name, setting_name
from dlexp.results.summary import Summary
from dlexp.studies.charts import DISTINCT_LINES, Chart, charts
from dlexp.studies.panels import draw_line, mark_thresholds, set_vertical, values_of
from dlexp.studies.scales import Scale, apply_horizontal, horizontal_scale, vertical_scale
from dlexp.studies.style import COLOURS, DASHES, MARKERS, look, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What is drawn of every sweep, the test set above: file name, metrics.
QUANTITIES = {"loss": ("test/loss", "train/loss"), "error": ("test/error", "train/error")}
_COLUMN_WIDTH = 3.1  # inches


def write_figures(summary: Summary, name: str, folder: Path) -> list[Path]:
    """Write ``<quantity>_against_<key>.png`` and ``.svg`` for each chart; return the PNG files' paths."""
    written = []
    with look():
        for chart in charts(summary):
            for quantity, metrics in QUANTITIES.items():
                present = [metric for metric in metrics if values_of(chart.lines, metric)]
                if present:
                    figure = draw(chart, quantity, present, name)
                    written.append(save(figure, folder / f"{quantity}_against_{chart.key}")[0])
    return written


def draw(chart: Chart, quantity: str, metrics: Sequence[str], name: str) -> "Figure":
    """Draw a chart inside `look()`: a row for each metric, so that neither takes the other's scale."""
    from matplotlib.figure import Figure

    wide = len(chart.columns) > 1
    size = (_COLUMN_WIDTH * len(chart.columns) + 1.6 if wide else 7.0, 1.4 + 2.1 * len(metrics))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(metrics), len(chart.columns), sharex=True, sharey="row", squeeze=False)
    positions = [position for line in chart.lines for position in line.positions]
    horizontal = Scale("linear") if chart.categories else horizontal_scale(positions)
    styles = _styles(list(dict.fromkeys(line.label for line in chart.lines)))
    notes = list(chart.notes)
    for row, metric in zip(grid, metrics, strict=True):
        scale = vertical_scale(values_of(chart.lines, metric))
        explained: set[str] = set()
        for axes, column in zip(row, chart.columns, strict=True):
            for line in column.lines:
                explained |= draw_line(
                    axes,
                    line,
                    metric,
                    scale,
                    styles[line.label],
                    joined=not chart.categories,
                    detailed=len(styles) <= DISTINCT_LINES,
                )
        row[0].set_ylabel(metric_name(metric))
        beyond = set_vertical(row[0], scale, chart.lines, metric)
        if len(styles) <= DISTINCT_LINES:
            explained |= beyond
        notes += sorted(explained - set(notes))
    for axes in grid[-1]:
        if chart.categories:
            axes.set_xticks(range(len(chart.categories)), chart.categories)
            axes.set_xlim(-0.5, len(chart.categories) - 0.5)
        else:
            apply_horizontal(axes, horizontal, positions, 5.6 if not wide else _COLUMN_WIDTH - 0.4)
    if horizontal.kind != "symlog" and not chart.categories:
        for column_axes, column in zip(grid.T, chart.columns, strict=True):
            mark_thresholds(column_axes, column.lines, styles, logarithmic=horizontal.kind == "log")
    for axes, column in zip(grid[0], chart.columns, strict=True):
        if column.title:
            axes.set_title(column.title, pad=16)
    _write_texts(figure, chart, quantity, name, notes)
    return figure


def _styles(labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    if len(labels) <= DISTINCT_LINES:
        looks = zip(COLOURS, MARKERS, DASHES, strict=True)
        return {
            label: {"color": colour, "marker": marker, "linestyle": dash}
            for label, (colour, marker, dash) in zip(labels, looks, strict=False)
        }
    import matplotlib

    ramp = matplotlib.colormaps["viridis"]
    last = len(labels) - 1
    return {
        label: {"color": ramp(0.92 * i / last), "marker": MARKERS[i % len(MARKERS)], "linestyle": "-"}
        for i, label in enumerate(labels)
    }


def _write_texts(figure: "Figure", chart: Chart, quantity: str, name: str, notes: Sequence[str]) -> None:
    counts = {len(setting.done) for line in chart.lines for setting in line.settings}
    many = max(counts) > 1
    seeds = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{max(counts)}"
    over = f"mean and 95\u00a0% interval over {seeds} seeds" if many else "one seed"
    width = int(figure.get_figwidth() * 11.5)
    title = f"{name}: {quantity} against {setting_name(chart.key)}, {over}"
    figure.suptitle(fill(title, width), parse_math=False)
    label = axis_name(chart.key)
    for axes in figure.axes[-len(chart.columns) :]:
        axes.set_xlabel(label)
    crowded = len({line.label for line in chart.lines}) > DISTINCT_LINES
    texts = list(notes)
    if many:
        shape = "bar" if chart.categories else "band"
        line = "Marker" if chart.categories else "Line"
        explained = f"{line}: mean; {shape}: 95 % interval; dots: single runs."
        texts.insert(0, "Lines: means; their intervals are in summary.csv." if crowded else explained)
    if texts:
        # Lines break between sentences only.
        whole = " ".join(text.replace(" ", "\u00a0") for text in texts)
        figure.supxlabel(fill(whole, int(width * 1.2)), fontsize=8.5, color="#444444")
    handles: dict[str, Any] = {}
    for axes in figure.axes[: len(chart.columns)]:
        found, labels = axes.get_legend_handles_labels()
        handles.update(zip(labels, found, strict=True))
    if len(handles) > 1:
        shown = list(handles)
        if crowded:
            shown = [shown[i] for i in sorted({round(i * (len(shown) - 1) / 4) for i in range(5)})]
        figure.legend(
            [handles[label] for label in shown],
            shown,
            title=chart.legend_title,
            loc="outside right center",
            alignment="left",
        )
