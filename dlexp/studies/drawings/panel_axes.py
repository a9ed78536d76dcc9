"""The axes of a panel of numbers against numbers: scales, limits, names, and what is marked on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlexp.studies.drawings.layout import Page, wrapped
from dlexp.studies.drawings.specification import Line, Panel
from dlexp.studies.panels import Series, set_limits
from dlexp.studies.scales import (
    Scale,
    horizontal_scale,
    label_log_axis,
    set_horizontal_limits,
    vertical_scale,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CROWDED = 0.1
_LETTER = 0.075  # inches of a letter of an axis' name, about


@dataclass(frozen=True)
class Content:
    """What a panel shows: its lines of which there are runs, and the names of its axes.

    With `from_zero` a linear y axis holds 0.
    """

    panel: Panel
    lines: Sequence[tuple[Line, Series]]
    x_label: str
    y_label: str
    from_zero: bool = False

    @property
    def series(self) -> list[Series]:
        """The lines' series."""
        return [series for _, series in self.lines]

    @property
    def places(self) -> list[float]:
        """All positions along the x axis."""
        single = (x for series in self.series for xs, _ in series.runs for x in xs)
        return [*(x for series in self.series for x in series.positions), *single]

    @property
    def values(self) -> list[float]:
        """All values along the y axis."""
        return [value for series in self.series for value in series.values]

    @property
    def wanted(self) -> str | None:
        """The scale that a power law, which is straight on logarithmic axes only, asks for."""
        return "log" if self.panel.laws and min(self.values) > 0 and min(self.places) > 0 else None


def sharing(contents: Sequence[Content]) -> list[list[Content]]:
    """Return for each panel those, itself among them, that show the same quantity and share its axis."""
    keys = [(content.y_label, content.panel.scale, content.panel.share_y) for content in contents]
    return [
        [other for other, key in zip(contents, keys, strict=True) if key == own] if own[2] else [content]
        for content, own in zip(contents, keys, strict=True)
    ]


def y_scale(shared: Sequence[Content]) -> Scale:
    """Return the scale of the y axis that panels share."""
    wanted = [content.panel.scale or content.wanted for content in shared]
    return vertical_scale(
        [value for content in shared for value in content.values], next(filter(None, wanted), None)
    )


def set_y_limits(axes: "Axes", scale: Scale, shared: Sequence[Content]) -> set[str]:
    """Set the y axis that panels share; return what a note has to explain."""
    marks = [mark.at for content in shared for mark in content.panel.horizontal if mark.at is not None]
    if scale.kind == "linear" and any(content.from_zero for content in shared):
        marks.append(0.0)
    return set_limits(axes, scale, [series for content in shared for series in content.series], marks)


def set_x_axis(axes: "Axes", content: Content, *, swept: bool) -> Scale:
    """Set the x axis to hold all positions and marks; return its scale.

    Args:
        axes: the panel's.
        content: of the panel.
        swept: the positions are values that a study chose or measured, not the steps of a path.
    """
    places, wanted = content.places, content.panel.x_scale or content.wanted
    if not (swept or wanted):
        # Steps that spread over decades are mostly evenly spaced all the same.
        later = sorted(place for place in places if place > 0)
        is_crowded = min(places) >= 0 and len(later) > 2 and later[len(later) // 2] <= _CROWDED * later[-1]
        wanted = "log" if is_crowded else "linear"
    scale = horizontal_scale(places, wanted)
    marks = [mark.at for mark in content.panel.vertical if mark.at is not None]
    set_horizontal_limits(axes, scale, [*places, *(at for at in marks if at > 0 or scale.kind == "linear")])
    if scale.kind == "log":
        label_log_axis(axes.xaxis, *axes.get_xlim())
    return scale


def set_titles(page: Page, contents: Sequence[Content], rows: Sequence[int]) -> None:
    """Write the axes' names, and titles above as many rows of labels as any panel has."""
    for axes, content in zip(page.panels, contents, strict=True):
        axes.set_xlabel(content.x_label)
        axes.set_ylabel(wrapped(content.y_label, max(int(page.axis_height / _LETTER), 10)))
        if content.panel.title:
            axes.set_title(content.panel.title, pad=5 + page.text_row * max(rows))
