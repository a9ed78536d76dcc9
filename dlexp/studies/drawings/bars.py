"""Means of categories beside each other, with intervals and single runs."""

from typing import TYPE_CHECKING

from dlexp.report.names import metric_name
from dlexp.studies.drawings.data import StudyRuns, by_seed
from dlexp.studies.drawings.layout import wrapped
from dlexp.studies.drawings.numbers import draw_numbers, explain_replicates
from dlexp.studies.drawings.panel_axes import Content
from dlexp.studies.drawings.specification import Drawing, Line, Panel
from dlexp.studies.drawings.styles import Style
from dlexp.studies.panels import Series, draw_series
from dlexp.studies.scales import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SLOT = 0.8  # of the distance of two categories, that bars take
_LETTER = 0.085  # inches of a letter of a category's name, about


def draw_bars(drawing: Drawing, study: StudyRuns) -> "Figure | None":
    """Draw a figure of kind ``bars``; None if there is nothing to draw yet."""
    contents, absent = [], []
    for panel in drawing.panels:
        drawn = []
        for group, slots in _groups(panel):
            series, without = _series(study, group, slots)
            absent += without
            if series.values:
                drawn.append((group, series))
        if drawn:
            contents.append(
                Content(panel, drawn, panel.x_label, panel.y_label or drawn[0][1].name, from_zero=True)
            )
    return draw_numbers(
        drawing.title,
        contents,
        study,
        draw_line=_draw_group,
        set_x=_set_categories,
        explanation=explain_replicates(contents, "Bar or marker", "whiskers", "dots"),
        absent=absent,
    )


def _groups(panel: Panel) -> list[tuple[Line, list[tuple[float, Line]]]]:
    """Return each group's categories with their places; without groups the controls make one of their own."""
    places = [(float(i), line) for i, line in enumerate(panel.lines)]
    if not panel.groups:
        kinds = [Line(control=control, label="") for control in (False, True)]
        return [(kind, [pair for pair in places if pair[1].control is kind.control]) for kind in kinds]
    width, middle = _SLOT / len(panel.groups), (len(panel.groups) - 1) / 2
    return [
        (group, [(place + (k - middle) * width, line) for place, line in places])
        for k, group in enumerate(panel.groups)
    ]


def _series(study: StudyRuns, group: Line, slots: list[tuple[float, Line]]) -> tuple[Series, list[str]]:
    """Return a group's replicates at the categories that have any, and the names of the others."""
    positions, replicates, absent, name = [], [], [], ""
    for position, line in slots:
        metric = line.metric or group.metric or ""
        values = by_seed(study.values(study.select(line.where, group.where), metric))
        if values:
            positions.append(position)
            replicates.append(values)
            name = metric_name(metric)
        else:
            absent.append(", ".join(filter(None, (line.legend, group.label))))
    return Series(group.label and group.legend, name, positions, replicates), absent


def _draw_group(
    axes: "Axes", content: Content, group: Line, series: Series, scale: Scale, style: Style
) -> set[str]:
    width = _SLOT / max(len(content.panel.groups), 1)
    if scale.kind == "linear":  # a logarithmic axis has no 0 for a bar to begin at
        heights = [found.mean for _, found, _ in series.points]
        axes.bar(series.positions, heights, 0.9 * width, color=style["color"], alpha=0.3, zorder=1)
    return draw_series(axes, series, scale, style, joined=False, beside=min(0.25 * width, 0.08))


def _set_categories(axes: "Axes", content: Content, width: float) -> Scale:
    lines = content.panel.lines
    room = max(int(width / len(lines) / _LETTER), 6)
    labels = [wrapped(line.legend, room) for line in lines]
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.grid(visible=False, axis="x")
    axes.tick_params(axis="x", length=0)
    return Scale("linear")
