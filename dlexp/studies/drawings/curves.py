"""Curves against a setting or a metric, and paths over steps or positions: mean, interval, single runs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlexp.studies.drawings.data import Study, along, over_positions
from dlexp.studies.drawings.layout import Page
from dlexp.studies.drawings.marks import LineText, draw_horizontal, draw_laws, place_texts
from dlexp.studies.drawings.specification import Drawing, Line, Panel
from dlexp.studies.drawings.styles import styles
from dlexp.studies.drawings.thresholds import mark_verticals
from dlexp.studies.names import axis_name, metric_name
from dlexp.studies.panels import Series, draw_series, set_limits
from dlexp.studies.scales import (
    Scale,
    horizontal_scale,
    label_log_axis,
    set_horizontal_limits,
    set_value_ticks,
    vertical_scale,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CROWDED = 0.1
_Y_LABELS = 0.9  # inches beside a panel


def draw_curves(drawing: Drawing, study: Study) -> "Figure | None":
    """Draw a figure of kind ``curves`` or ``paths``; None if there is nothing to draw yet."""
    shown, absent = [], []
    for panel in drawing.panels:
        found = [(line, _series(study, line, panel)) for line in panel.lines]
        absent += [_name(line) for line, series in found if not series.values]
        drawn = [(line, series) for line, series in found if series.values]
        if drawn:
            shown.append((panel, drawn))
    if not shown:
        return None
    page = Page(len(shown))
    looks = styles([[line for line, _ in drawn] for _, drawn in shown])
    texts: list[LineText] = []
    for axes, (panel, drawn), look in zip(page.panels, shown, looks, strict=True):
        texts += _draw_panel(axes, panel, drawn, look, study, page)
    measured = [series for _, drawn in shown for line, series in drawn if not line.reference]
    page.explain(measured, "dots" if drawing.kind == "curves" else "thin lines")
    page.explain_missing(absent, study)
    page.finish(drawing.title, [handles_of(axes) for axes in page.panels])
    place_texts(texts)
    return page.figure


def handles_of(axes: "Axes") -> dict[str, Any]:
    """Return a panel's legend entries by label."""
    handles, labels = axes.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True))


def _series(study: Study, line: Line, panel: Panel) -> Series:
    return along(study, line, panel.along) if panel.along else over_positions(study, line)


def _name(line: Line) -> str:
    return line.legend or metric_name(line.metric or line.y or "")


def _draw_panel(
    axes: "Axes",
    panel: Panel,
    drawn: Sequence[tuple[Line, Series]],
    look: Mapping[str, Mapping[str, Any]],
    study: Study,
    page: Page,
) -> list[LineText]:
    every = [series for _, series in drawn]
    places = [x for series in every for x in (*series.positions, *(x for xs, _ in series.runs for x in xs))]
    values = [value for series in every for value in series.values]
    as_log = "log" if panel.laws and min(values) > 0 and min(places) > 0 else None
    scale = vertical_scale(values, panel.scale or as_log)
    horizontal = _horizontal_scale(panel, places, panel.x_scale or as_log)
    marks = [mark.at for mark in panel.vertical if mark.at is not None]
    marks = [at for at in marks if at > 0 or horizontal.kind == "linear"]
    set_horizontal_limits(axes, horizontal, [*places, *marks])
    explained: set[str] = set()
    for line, series in drawn:
        if line.reference:
            points = series.points
            means = [scale.clip(found.mean) for _, found, _ in points]
            axes.plot([x for x, *_ in points], means, label=series.label, **look[line.legend])
        else:
            explained |= draw_series(axes, series, scale, look[line.legend])
    explained |= set_limits(axes, scale, every, [mark.at for mark in panel.horizontal if mark.at is not None])
    page.note(*sorted(explained))
    rows = mark_verticals(axes, panel, drawn, study, look, horizontal, page)
    _label(axes, panel, drawn, horizontal, page, rows)
    if panel.along and any(panel.along in run.config for run in study.select({})):
        set_value_ticks(axes, places, page.panel_width - _Y_LABELS)
    elif horizontal.kind == "log":
        label_log_axis(axes.xaxis, *axes.get_xlim())
    laws, unfit = draw_laws(axes, panel, drawn)
    page.note(*unfit)
    return [*laws, *draw_horizontal(axes, panel.horizontal)]


def _horizontal_scale(panel: Panel, places: Sequence[float], wanted: str | None) -> Scale:
    if panel.along or wanted:
        return horizontal_scale(places, wanted)
    # Steps that spread over decades are mostly evenly spaced all the same.
    later = sorted(place for place in places if place > 0)
    is_crowded = min(places) >= 0 and len(later) > 2 and later[len(later) // 2] <= _CROWDED * later[-1]
    return horizontal_scale(places, "log" if is_crowded else "linear")


def _label(
    axes: "Axes", panel: Panel, drawn: Sequence[tuple[Line, Series]], horizontal: Scale, page: Page, rows: int
) -> None:
    first, series = next((pair for pair in drawn if not pair[0].reference), drawn[0])
    if panel.along:
        default = metric_name(panel.along) if "/" in panel.along else axis_name(panel.along)
    else:
        default = "optimizer step" if first.metric else metric_name(first.x or "number")
    axes.set_xlabel(panel.x_label or default)
    axes.set_ylabel(panel.y_label or series.name)
    if panel.title:
        axes.set_title(panel.title, pad=5 + page.text_row * rows)
