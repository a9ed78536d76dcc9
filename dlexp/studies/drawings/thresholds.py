"""Vertical thresholds: at a place, or where one quantity of the runs comes to equal another."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dlexp.results.summary import estimate
from dlexp.studies.drawings.data import StudyRuns, positions_of, quantity
from dlexp.studies.drawings.layout import Page
from dlexp.studies.drawings.marks import draw_vertical
from dlexp.studies.drawings.panel_axes import Content
from dlexp.studies.drawings.specification import Line, Mark
from dlexp.studies.drawings.styles import Style
from dlexp.studies.scales import Scale, crossing
from dlexp.studies.style import THRESHOLD

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SAME = 0.02  # of the axis' length


def mark_verticals(
    axes: "Axes",
    content: Content,
    study: StudyRuns,
    look: Mapping[str, Style],
    scale: Scale,
    page: Page,
) -> int:
    """Mark a panel's vertical thresholds; return how many rows of labels are above it.

    A threshold that differs between the lines is marked for each in its colour, and labelled once.
    """
    marks: list[tuple[float, str, str]] = []
    for mark in content.panel.vertical:
        if mark.at is not None:
            if mark.at > 0 or scale.kind != "log":
                marks.append((mark.at, mark.label, THRESHOLD))
            continue
        found = []
        for line, _ in content.lines:
            if not line.reference:
                places = equal_places(
                    study, line, content.panel.along or "", mark, logarithmic=scale.kind == "log"
                )
                found += [(place, str(look[line.legend]["color"])) for place in places]
        distinct = _distinct(axes, sorted(found))
        if not distinct:
            page.note(f"Nowhere here: {mark.label or ' = '.join(mark.where_equal)}.")
        for i, (place, colour) in enumerate(distinct):
            label = mark.label if i == len(distinct) // 2 else ""
            marks.append((place, label, colour if len(distinct) > 1 else THRESHOLD))
    return draw_vertical(axes, marks, page.axis_width)


def equal_places(study: StudyRuns, line: Line, key: str, mark: Mark, *, logarithmic: bool) -> list[float]:
    """Return where along `key` the two quantities of a mark are equal for a line's runs.

    Between positions their means are interpolated: on a logarithmic axis the logarithm of their ratio, else
    their difference.
    """
    pairs: dict[float, list[tuple[float, float]]] = {}
    one, other = mark.where_equal
    for position, run in positions_of(study.select(line.where), key):
        pairs.setdefault(position, []).append((quantity(run, one), quantity(run, other)))
    positions, excess = [], []
    for position in sorted(pairs):
        a, b = (estimate(values).mean for values in zip(*pairs[position], strict=True))
        if not (math.isfinite(a) and math.isfinite(b)) or (logarithmic and min(a, b) <= 0):
            return []
        positions.append(position)
        excess.append(math.log(a / b) if logarithmic else a - b)
    return crossing(positions, excess, logarithmic=logarithmic)


def _distinct(axes: "Axes", places: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return the places of which none is where another is already, as far as an eye can tell."""
    kept: list[tuple[float, str]] = []
    shares: list[float] = []
    for place, colour in places:
        x = axes.transData.transform((place, axes.get_ylim()[0]))
        share = float(axes.transAxes.inverted().transform(x)[0])
        if all(abs(share - other) > _SAME for other in shares):
            kept.append((place, colour))
            shares.append(share)
    return kept
