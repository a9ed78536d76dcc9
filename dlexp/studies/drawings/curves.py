"""Curves against a setting or a metric, and paths over steps or positions: mean, interval, single runs."""

from typing import TYPE_CHECKING

from dlexp.report.names import axis_name, metric_name
from dlexp.studies.drawings.data import StudyRuns, along, over_positions
from dlexp.studies.drawings.numbers import draw_numbers, explain_replicates
from dlexp.studies.drawings.panel_axes import Content, set_x_axis
from dlexp.studies.drawings.specification import Drawing, Line, Panel
from dlexp.studies.drawings.styles import Style
from dlexp.studies.panels import Series, draw_series
from dlexp.studies.scales import Scale, set_value_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FEW = 12  # positions on a path that have a tick each, layers for one


def draw_curves(drawing: Drawing, study: StudyRuns) -> "Figure | None":
    """Draw a figure of kind ``curves`` or ``paths``; None if there is nothing to draw yet."""
    contents, absent = [], []
    for panel in drawing.panels:
        found = [(line, _series(study, line, panel)) for line in panel.lines]
        absent += [_name(line, panel) for line, series in found if not series.values]
        drawn = [(line, series) for line, series in found if series.values]
        if drawn:
            contents.append(_content(panel, drawn))

    def set_x(axes: "Axes", content: Content, width: float) -> Scale:
        key = content.panel.along
        scale = set_x_axis(axes, content, swept=key is not None)
        is_counted = len(set(content.places)) <= _FEW and all(place % 1 == 0 for place in content.places)
        if study.is_setting(key) or (key is None and is_counted):
            set_value_ticks(axes, content.places, width)
        return scale

    single = "dots" if drawing.kind == "curves" else "thin lines"
    return draw_numbers(
        drawing.title,
        contents,
        study,
        draw_line=_draw_line,
        set_x=set_x,
        explanation=explain_replicates(contents, "Line", "band", single),
        absent=absent,
    )


def _series(study: StudyRuns, line: Line, panel: Panel) -> Series:
    return along(study, line, panel.along) if panel.along else over_positions(study, line)


def _name(line: Line, panel: Panel) -> str:
    name = line.legend or metric_name(line.metric or line.y or "")
    return f"{name} in {panel.title}" if panel.title else name


def _content(panel: Panel, lines: list[tuple[Line, Series]]) -> Content:
    line, series = next((pair for pair in lines if not pair[0].reference), lines[0])
    if panel.along:
        x_label = metric_name(panel.along) if "/" in panel.along else axis_name(panel.along)
    else:
        x_label = "optimizer step" if line.metric else metric_name(line.x or "number")
    return Content(panel, lines, panel.x_label or x_label, panel.y_label or series.name)


def _draw_line(
    axes: "Axes", content: Content, line: Line, series: Series, scale: Scale, style: Style
) -> set[str]:
    if not line.reference:
        return draw_series(axes, series, scale, style)
    points = [(x, scale.clip(found.mean)) for x, found, _ in series.points]
    axes.plot(*zip(*points, strict=True), label=series.label, zorder=2.8, **style)
    return set()
