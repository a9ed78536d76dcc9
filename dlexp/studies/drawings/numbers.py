"""What figures of numbers against numbers share: their panels from scales to marks, and the texts around."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dlexp.studies.drawings.data import StudyRuns
from dlexp.studies.drawings.layout import Page
from dlexp.studies.drawings.marks import LineText, draw_diagonal, draw_horizontal, draw_laws, place_texts
from dlexp.studies.drawings.panel_axes import Content, set_titles, set_y_limits, sharing, y_scale
from dlexp.studies.drawings.specification import Line
from dlexp.studies.drawings.styles import Style, styles
from dlexp.studies.drawings.thresholds import mark_verticals
from dlexp.studies.panels import Series
from dlexp.studies.scales import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Draws a line of a panel on the y axis' scale; returns what a note has to explain.
DrawLine = Callable[["Axes", Content, Line, Series, Scale, Style], set[str]]


def draw_numbers(
    title: str,
    contents: Sequence[Content],
    study: StudyRuns,
    *,
    draw_line: DrawLine,
    set_x: "Callable[[Axes, Content, float], Scale]",
    explanation: str,
    absent: Sequence[str],
    heights: tuple[float, float] = (3.5, 2.8),
) -> "Figure | None":
    """Return a figure of panels, each with its lines, thresholds and laws; None without panels.

    Args:
        title: the figure's.
        contents: of each panel.
        study: the runs, for thresholds and the number of those left out.
        draw_line: draws one line.
        set_x: sets a panel's x axis, which is so many inches long.
        explanation: of what lines, bands and dots are.
        absent: lines that there are no runs of.
        heights: of a panel, see `Page`.
    """
    if not contents:
        return None
    page = Page(len(contents), heights)
    page.note(explanation)
    looks = styles(
        [[line for line, _ in content.lines] for content in contents],
        with_laws=any(content.panel.laws or content.panel.diagonal for content in contents),
    )
    texts: list[LineText] = []
    rows = []
    for axes, content, shared, look in zip(page.panels, contents, sharing(contents), looks, strict=True):
        scale = y_scale(shared)
        horizontal = set_x(axes, content, page.axis_width)
        explained = set()
        for line, series in content.lines:
            explained |= draw_line(axes, content, line, series, scale, look[line.legend])
        explained |= set_y_limits(axes, scale, shared)
        page.note(*sorted(explained))
        rows.append(mark_verticals(axes, content, study, look, horizontal, page))
        laws, unfit = draw_laws(axes, content)
        page.note(*unfit)
        diagonal = draw_diagonal(axes) if content.panel.diagonal else []
        texts += [*laws, *diagonal, *draw_horizontal(axes, content.panel.horizontal)]
    set_titles(page, contents, rows)
    page.note_missing(absent, study)
    legends = []
    for axes in page.panels:
        handles, labels = axes.get_legend_handles_labels()
        legends.append(dict(zip(labels, handles, strict=True)))
    page.finish(title, legends, consistent=all(look is looks[0] for look in looks))
    place_texts(texts)
    return page.figure


def explain_replicates(contents: Sequence[Content], line: str, interval: str, single: str) -> str:
    """Return what a line, its interval and single runs are called, and over how many seeds the means are."""
    drawn = [series for content in contents for member, series in content.lines if not member.reference]
    counts = {len(values) for series in drawn for values in series.replicates}
    if max(counts, default=1) == 1:
        return "One seed."
    seeds = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{max(counts)}"
    return f"{line}: mean over {seeds} seeds; {interval}: its 95 % interval; {single}: single runs."
