"""Predicted laws and thresholds in a panel, each with its text where it covers least."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlexp.report.names import value_text
from dlexp.studies.drawings.layout import Page
from dlexp.studies.drawings.panel_axes import Content
from dlexp.studies.drawings.specification import Law, Mark
from dlexp.studies.style import THRESHOLD

if TYPE_CHECKING:
    import numpy
    import numpy.typing
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    Array = numpy.typing.NDArray[numpy.float64]

_DOTTED, _DASHED = (0, (2, 2)), (0, (6, 3))
_SIZE = 8.5
_POINTS = 60  # of a line, between which its text may stand
_AWAY = 3.0  # points between a text and its line
_LETTER = 0.068  # inches of a letter, about


@dataclass(frozen=True)
class LineText:
    """A text that may stand anywhere along a line, at one of the points (data coordinates)."""

    axes: "Axes"
    text: str
    points: Sequence[tuple[float, float]]


def law_through(law: Law, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return points of a power law through the geometric mean of the positive points, over their range.

    There are none where fewer than two points are positive.
    """
    pairs = [(x, y) for x, y in points if x > 0 and y > 0]
    if len(pairs) < 2:
        return []
    centre = math.fsum(math.log(a) for a, _ in pairs) / len(pairs)
    level = math.fsum(math.log(b) for _, b in pairs) / len(pairs)
    return [
        (x, math.exp(min(level + law.slope * (math.log(x) - centre), 700.0)))
        for x in _spread(min(pairs)[0], max(pairs)[0])
    ]


def _spread(low: float, high: float) -> list[float]:
    """Return numbers from low to high, evenly spaced on a logarithmic axis if they are positive."""
    if low > 0:
        return [low * (high / low) ** (i / _POINTS) for i in range(_POINTS + 1)]
    return [low + (high - low) * i / _POINTS for i in range(_POINTS + 1)]


def draw_laws(axes: "Axes", content: Content) -> tuple[list[LineText], list[str]]:
    """Draw power laws through the means of lines; return their labels, and notes of what cannot be drawn."""
    texts, notes = [], []
    for law in content.panel.laws:
        slope = f"slope {value_text(law.slope)}".replace("-", "−")
        text = law.label if "slope" in law.label else f"{law.label} ({slope})" if law.label else slope
        lines = content.panel.lines or content.panel.groups
        named = [line for i, line in enumerate(lines) if law.line in (i, line.label)]
        means = [
            (x, found.mean)
            for line, one in content.lines
            if line in named or not lines
            for x, found, _ in one.points
        ]
        points = law_through(law, means)
        if points:
            axes.plot(*zip(*points, strict=True), color="black", linestyle=_DASHED, linewidth=1.1, zorder=3.2)
            texts.append(LineText(axes, text, points))
        else:
            notes.append(f"No line for {text}: its runs are missing.")
    return texts, notes


def draw_horizontal(axes: "Axes", marks: Sequence[Mark]) -> list[LineText]:
    """Draw thresholds across the panel; return their labels."""
    texts = []
    for mark in marks:
        assert mark.at is not None
        axes.axhline(mark.at, color=THRESHOLD, linestyle=_DOTTED, linewidth=1.1, zorder=1)
        shares = [i / 40 for i in range(41)]
        ends = axes.transAxes.inverted().transform(axes.transData.transform((axes.get_xlim()[0], mark.at)))
        back = axes.transAxes + axes.transData.inverted()
        places = [back.transform((share, ends[1])) for share in shares]
        if mark.label:
            texts.append(LineText(axes, mark.label, [(float(x), float(y)) for x, y in places]))
    return texts


def draw_diagonal(axes: "Axes") -> list[LineText]:
    """Draw the line on which x and y are equal, across what the panel shows; return its label."""
    low, high = (pick(x, y) for pick, x, y in zip((max, min), axes.get_xlim(), axes.get_ylim(), strict=True))
    if low >= high:
        return []
    points = [(x, x) for x in _spread(low, high)]
    axes.plot(*zip(*points, strict=True), color="black", linestyle=_DASHED, linewidth=1.1, zorder=2.5)
    return [LineText(axes, "equal", points)]


def draw_vertical(axes: "Axes", places: Sequence[tuple[float, str, str]], width: float) -> int:
    """Mark places (position, label, colour), with each label above the panel, `width` inches wide.

    Labels that would touch stand above each other; returns how many rows of them there are.
    """
    taken: list[list[tuple[float, float]]] = []
    for x, label, colour in sorted(places):
        axes.axvline(x, color=colour, linestyle=_DOTTED, linewidth=1.1, zorder=1)
        if not label:
            continue
        share = float(
            axes.transAxes.inverted().transform(axes.transData.transform((x, axes.get_ylim()[0])))[0]
        )
        half = len(label) * _LETTER / width / 2
        centre = min(max(share, half), max(1 - half, half))
        row = next(
            (i for i, ends in enumerate(taken) if all(abs(centre - c) > half + h for c, h in ends)),
            len(taken),
        )
        taken += [[]] if row == len(taken) else []
        taken[row].append((centre, half + 0.02))
        axes.annotate(
            label,
            (centre, 1.0),
            xycoords="axes fraction",
            xytext=(0, 2 + Page.text_row * row),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=THRESHOLD,
            fontsize=_SIZE,
        )
    return len(taken)


def place_texts(texts: Sequence[LineText]) -> None:
    """Write each text beside its line where it covers fewest of what is drawn; when the layout is done."""
    for text in texts:
        _place(text)


def _place(label: LineText) -> None:
    import numpy
    from matplotlib.patheffects import withStroke

    axes = label.axes
    figure = axes.get_figure(root=True)
    assert figure is not None
    text = axes.text(0, 0, label.text, fontsize=_SIZE, color="#222222", zorder=6)
    text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    text.set_in_layout(False)
    extent = text.get_window_extent()
    size = numpy.array([extent.width, extent.height])
    drawn = _obstacles(axes, text)
    frame = axes.get_window_extent()
    away = _AWAY * figure.dpi / 72
    best, fewest = (0.0, 0.0), math.inf
    for corner in _corners(axes.transData.transform(label.points), size, away):
        low, high = corner, corner + size
        covered = int(((drawn > low - away / 2) & (drawn < high + away / 2)).all(axis=1).sum())
        outside = max(frame.x0 - low[0], high[0] - frame.x1, frame.y0 - low[1], high[1] - frame.y1, 0.0)
        if covered + 1e3 * outside < fewest:
            best, fewest = (float(low[0]), float(low[1])), covered + 1e3 * outside
    text.set_verticalalignment("bottom")
    # In the panel's own coordinates: it stays in its place when the figure is saved with other dots an inch.
    text.set_transform(axes.transAxes)
    x, y = axes.transAxes.inverted().transform(best)
    text.set_position((float(x), float(y)))


def _corners(points: "Array", size: "Array", away: float) -> "Iterator[Array]":
    """Yield lower left corners of a text above and below a line's points, those near its right end first."""
    import numpy

    for point in points[::-1]:
        for right in (-1, 1):
            for up in (1, -1):
                x = point[0] + away if right > 0 else point[0] - away - size[0]
                y = point[1] + away if up > 0 else point[1] - away - size[1]
                yield numpy.array([x, y])


def _obstacles(axes: "Axes", own: "Text") -> "Array":
    """Return points (display) on all lines, dots and texts of a panel, close to each other."""
    import numpy

    points = [numpy.empty((0, 2))]
    for line in axes.lines:
        path = line.get_transform().transform(numpy.column_stack(line.get_data()).astype(float))
        path = path[numpy.isfinite(path).all(axis=1)]
        points.append(path)
        if line.get_linestyle() not in ("None", "none", "") and len(path) > 1:
            shares = numpy.linspace(0, 1, 60)[:, None, None]
            points.append((path[:-1] + shares * (path[1:] - path[:-1])).reshape(-1, 2))
    for text in axes.texts:
        if text is not own:
            box = text.get_window_extent()
            grid = numpy.meshgrid(numpy.linspace(box.x0, box.x1, 30), numpy.linspace(box.y0, box.y1, 6))
            points.append(numpy.column_stack([part.ravel() for part in grid]))
    return numpy.concatenate(points)
