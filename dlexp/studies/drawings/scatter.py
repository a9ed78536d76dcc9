"""One quantity of the runs against another: a point a run, or a point an entry of two arrays."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlexp.records.run import Run
from dlexp.report.names import metric_name
from dlexp.studies.drawings.data import StudyRuns, pick_row
from dlexp.studies.drawings.numbers import draw_numbers
from dlexp.studies.drawings.panel_axes import Content, set_x_axis
from dlexp.studies.drawings.specification import Drawing, Line, Panel
from dlexp.studies.drawings.styles import Style
from dlexp.studies.panels import Series
from dlexp.studies.scales import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MANY = 100  # points, which hide each other if they are not pale


def draw_scatter(drawing: Drawing, study: StudyRuns) -> "Figure | None":
    """Draw a figure of kind ``scatter``; None if there is nothing to draw yet."""
    contents, absent, drawn_runs = [], [], set()
    for panel in drawing.panels:
        drawn = []
        for group in panel.groups or (Line(where=panel.where),):
            runs = study.select(group.where)
            series = _points(study, panel, group, runs)
            if series.positions:
                drawn.append((group, series))
                drawn_runs |= {run.run_id for run in runs}
            else:
                absent.append(group.legend or panel.title or _name(panel.y))
        if drawn:
            names = panel.x_label or _name(panel.x), panel.y_label or _name(panel.y)
            contents.append(Content(panel, drawn, *names))
    point = "a run" if all("metric" in panel.x for panel in drawing.panels) else "an entry of a run's array"
    return draw_numbers(
        drawing.title,
        contents,
        study,
        draw_line=_draw_points,
        set_x=lambda axes, content, _: set_x_axis(axes, content, swept=True),
        explanation=f"A point is {point}; {len(drawn_runs)} run{'s' * (len(drawn_runs) > 1)}.",
        absent=absent,
        heights=(4.2, 3.2),
    )


def _name(axis: Mapping[str, Any]) -> str:
    return metric_name(axis.get("metric") or axis["array"])


def _points(study: StudyRuns, panel: Panel, group: Line, runs: Sequence[Run]) -> Series:
    pairs: list[tuple[float, float]] = []
    for run in runs:
        x, y = (_values(study, run, axis) for axis in (panel.x, panel.y))
        if len(x) == len(y):
            pairs += [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    pairs.sort()
    return Series(group.legend, _name(panel.y), [x for x, _ in pairs], [[y] for _, y in pairs])


def _values(study: StudyRuns, run: Run, axis: Mapping[str, Any]) -> list[float]:
    if "metric" in axis:
        return [value for _, value in study.values([run], axis["metric"])]
    array = study.array(run, axis["array"])
    if array is None:
        return []
    values: list[float] = (pick_row(array, axis["row"]) if "row" in axis else array.reshape(-1)).tolist()
    return values


def _draw_points(
    axes: "Axes", content: Content, group: Line, series: Series, scale: Scale, style: Style
) -> set[str]:
    heights = [scale.clip(values[0]) for values in series.replicates]
    dots = {**style, "linestyle": "none", "alpha": 0.75 if len(heights) <= _MANY else 0.4}
    axes.plot(series.positions, heights, label=series.label, clip_on=False, zorder=3, **dots)
    return set()
