"""A study: a question with its claims and figures, one readable Python file beside the YAML of what is run.

The file is a module with a docstring, ``QUESTION``, ``SOURCES``, ``METRICS`` (that tables show first), ``CLAIMS``
and ``FIGURES``; all but the question may be left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlexp.results.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

Draw = Callable[[Any, Table], None]


@dataclass(frozen=True)
class Figure:
    """A figure of a study: `draw(axes, table)` draws it into one Axes, or a list of them if it has panels.

    `panels` is their number or (rows, columns), `size` is in inches; None: fitted to the panels.
    """

    name: str
    title: str
    caption: str
    panels: int | tuple[int, int]
    size: tuple[float, float] | None
    draw: Draw


def figure(
    *,
    title: str,
    caption: str,
    panels: int | tuple[int, int] = 1,
    size: tuple[float, float] | None = None,
) -> Callable[[Draw], Figure]:
    """Make a function of axes and table a study's figure, named as the function is.

    Args:
        title: what it shows, without a full stop.
        caption: what is to be seen in it, in sentences.
        panels: their number in a row, or (rows, columns); the function is then given a list of Axes.
        size: in inches; None: fitted to the panels.

    Example:
        >>> @figure(title="Test loss against width", caption="It peaks.")
        ... def double_descent(axes, table):
        ...     points = table.group(along="model.width", metric="test/loss")
        ...     axes.plot([point.x for point in points], [point.mean for point in points])
        >>> double_descent.name
        'double_descent'
    """

    def decorate(draw: Draw) -> Figure:
        return Figure(draw.__name__, title, caption, panels, size, draw)

    return decorate
