"""Texts that find their own place in a panel, where they cover least of what is drawn."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from dlexp.plots.style import SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

FloatArray = npt.NDArray[np.float64]

_AWAY = 3.0  # points between a text and its line
_OUTSIDE = 1e3  # points covered that one pixel outside the panel is as bad as
_ROUNDS = 2  # so that the first text gives way to the others too
_SPACING, _MOST = 4.0, 2000  # pixels between obstacles on a line, and how many it may have
_PLACES = 60  # along a line, at which its text is tried


class PlacedText(Text):
    """A text beside a line, at the place along it where it covers fewest lines, dots and texts.

    It looks for the place whenever it is drawn, so that it fits whatever was drawn after it.

    Args:
        axes: the panel.
        text: what it says.
        along: the line (n, 2) that it may stand at any point of.
        transform: of the line's coordinates; those of the data if None.
    """

    def __init__(
        self, axes: "Axes", text: str, along: npt.ArrayLike, transform: "Transform | None" = None
    ) -> None:
        super().__init__(0, 0, text, fontsize=SMALL, color="#222222", zorder=6)
        self.along, self._of_line = np.asarray(along, dtype=float), transform or axes.transData
        self.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
        self.set_in_layout(False)
        self.set_verticalalignment("bottom")
        axes.add_artist(self)
        self.set_transform(axes.transAxes)
        self.set_clip_on(False)

    def draw(self, renderer: Any) -> None:
        """Find a place for each such text of the panel, before the first is drawn, then draw."""
        texts = [text for text in getattr(self.axes, "texts", ()) if isinstance(text, PlacedText)]
        if self is texts[0]:
            for text in texts * _ROUNDS:
                text.place()
        super().draw(renderer)

    def place(self) -> None:
        """Move to the place that covers least; of equal ones to that nearest the line's right end."""
        axes: Any = self.axes
        figure = axes.get_figure(root=True)
        assert figure is not None
        extent = self.get_window_extent()
        size = np.array([extent.width, extent.height])
        frame = axes.get_window_extent()
        away = _AWAY * figure.dpi / 72
        corners = _corners(_within(axes, self._of_line.transform(self.along)), size, away)
        if not len(corners):
            return
        drawn = obstacles(axes, self)
        near = 0.9 * away  # all but the line itself
        low, high = corners[:, None] - near, corners[:, None] + size + near
        covered = ((drawn > low) & (drawn < high)).all(axis=2).sum(axis=1)
        beyond = np.maximum(
            np.array([frame.x0, frame.y0]) - corners, corners + size - np.array([frame.x1, frame.y1])
        )
        cost = covered + _OUTSIDE * np.maximum(beyond, 0).max(axis=1)
        x, y = axes.transAxes.inverted().transform(corners[int(np.argmin(cost))])
        self.set_position((float(x), float(y)))


def obstacles(axes: "Axes", own: Text | None = None) -> FloatArray:
    """Return points (n, 2), in pixels, close to each other, on what a panel shows: lines, dots, bars, texts.

    For a text of its own (`own`, which does not count) the legend is in the way too.
    """
    from matplotlib.patches import Rectangle

    points = [np.empty((0, 2))]
    for line in axes.lines:
        path = line.get_transform().transform(np.column_stack(line.get_data(orig=False)).astype(float))
        path = path[np.isfinite(path).all(axis=1)]
        points.append(path)
        if line.get_linestyle() not in ("None", "none", "") and len(path) > 1:
            points.append(_dense(path))
    points += [_grid(patch.get_window_extent()) for patch in axes.patches if isinstance(patch, Rectangle)]
    texts = [*axes.texts, *(child for child in axes.artists if isinstance(child, Text))]
    points += [_grid(text.get_window_extent()) for text in texts if text is not own and text.get_text()]
    found = axes.get_legend()
    if found is not None and own is not None:
        points.append(_grid(found.get_window_extent()))
    return np.concatenate(points)


def _dense(path: FloatArray) -> FloatArray:
    """Return points on a path (n, 2) in pixels, one every few pixels along it."""
    length = np.concatenate([[0.0], np.hypot(*np.diff(path, axis=0).T).cumsum()])
    at = np.linspace(0, length[-1], min(int(length[-1] / _SPACING) + 2, _MOST))
    return np.column_stack([np.interp(at, length, path[:, i]) for i in (0, 1)])


def _grid(box: Any) -> FloatArray:
    x, y = np.meshgrid(np.linspace(box.x0, box.x1, 30), np.linspace(box.y0, box.y1, 6))
    return np.column_stack([x.ravel(), y.ravel()])


def _within(axes: "Axes", path: FloatArray) -> FloatArray:
    """Return the part of a line, in pixels, that is inside its panel, with points close to each other."""
    path = path[np.isfinite(path).all(axis=1)]
    if len(path) > 1:
        path = _dense(path)
    frame = axes.get_window_extent()
    inside = (path >= (frame.x0 - 1, frame.y0 - 1)) & (path <= (frame.x1 + 1, frame.y1 + 1))
    path = path[inside.all(axis=1)]
    return path[:: max(len(path) // _PLACES, 1)]


def _corners(points: FloatArray, size: FloatArray, away: float) -> FloatArray:
    """Return lower left corners (n, 2) of a text beside a line's points, those near its right end first."""
    sides = [
        point + np.array([away if right else -away - size[0], away if up else -away - size[1]])
        for point in points[::-1]
        for right in (False, True)
        for up in (True, False)
    ]
    return np.array(sides).reshape(-1, 2)
