"""One look for all figures: readable on screen and paper, by the colour-blind and in grey."""

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlexp.records.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette without black, which laws and closed forms have; neighbours apart in grey too. A
# marker and a dash pattern go with each colour.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#CC79A7")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
GREYS = ("#6E6E6E", "#A0A0A0", "#8A8A8A")  # of controls
BLACK = "#000000"  # of laws and closed forms
THRESHOLD = "#555555"
DOTTED, DASHED = (0, (2, 2)), (0, (6, 3))  # of thresholds, of laws
COLOUR_MAP = "viridis"  # its lightness rises evenly: it reads in grey

WIDTH = 7.2  # inches of a page: at 700 pixels a point is a little more than a pixel
SMALL = 8.5  # points of a text in a panel or below it

_PARAMETERS: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same text everywhere
    "font.size": 10,
    "axes.titlesize": 10,
    "figure.titlesize": 11,
    "legend.fontsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.xmargin": 0.04,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "legend.frameon": False,
    "figure.dpi": 150,  # as saved, so that a layout fits and texts are measured once
    "savefig.dpi": "figure",
    "figure.facecolor": "white",
    "svg.hashsalt": "dlexp",  # the same figure gives the same file
}


@contextlib.contextmanager
def look() -> Iterator[None]:
    """Draw in dlexp's look, and without what matplotlib logs about its font cache.

    >>> import matplotlib
    >>> with look():
    ...     matplotlib.rcParams["axes.grid"]
    True
    """
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        import matplotlib.style

        with matplotlib.style.context(_PARAMETERS, after_reset=True):
            yield
    finally:
        logger.setLevel(level)


def line_style(axes: "Axes", label: str, *, control: bool = False) -> dict[str, Any]:
    """Return the keywords of ``plot`` for a line: a label looks the same in all panels of a figure.

    One that the figure does not have yet gets the first colour that no other of its labels has, or where all
    are taken no other of its panel. Controls are grey and dashed, with hollow markers.

    >>> from matplotlib.figure import Figure
    >>> left, right = Figure().subplots(1, 2)
    >>> line = left.plot([1, 2], label="100 samples", **line_style(left, "100 samples"))
    >>> line_style(right, "100 samples")["color"], line_style(right, "200 samples")["color"]
    ('#0072B2', '#E69F00')
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    of_figure = _colours([panel for panel in figure.axes if panel is not axes])
    of_panel = _colours([axes])
    palette = GREYS if control else COLOURS
    own = {**of_figure, **of_panel}.get(label)
    taken = {**of_figure, **of_panel}.values()
    if own not in palette:
        own = next((c for c in palette if c not in taken), None)
    if own is None:
        own = next((c for c in palette if c not in of_panel.values()), palette[0])
    i = palette.index(own)
    if control:
        return {
            "color": own,
            "marker": MARKERS[-1 - i],
            "markerfacecolor": "white",
            "linestyle": DASHES[i + 1],
        }
    return {"color": own, "marker": MARKERS[i], "linestyle": DASHES[i]}


def _colours(panels: "list[Axes]") -> dict[str, str]:
    lines = (line for axes in panels for line in axes.lines)
    return {
        str(line.get_label()): str(line.get_color())
        for line in lines
        if not str(line.get_label()).startswith("_")
    }


def ramp(n: int) -> list[str]:
    """Return n colours in order, dark to light, for lines of which a number rises (widths, learning rates).

    >>> ramp(2)
    ['#440154', '#5ec962']
    """
    import matplotlib
    from matplotlib.colors import to_hex

    colours = matplotlib.colormaps[COLOUR_MAP]
    return [to_hex(colours(0.75 * i / max(n - 1, 1))) for i in range(n)]


def save(figure: "Figure", stem: Path) -> tuple[Path, Path]:
    """Write a figure as `stem`.png and `stem`.svg, without dates in them; inside `look()`.

    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> with look(), tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in save(Figure(), Path(folder) / "empty")]
    ['empty.png', 'empty.svg']
    """
    engine = figure.get_layout_engine()
    if engine is not None:  # laid out for good: with an engine each file takes a layout and two drawings
        engine.execute(figure)
        figure.set_layout_engine(None)
    paths = []
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=metadata)
        paths.append(write_atomically(stem.with_name(f"{stem.name}.{suffix}"), buffer.getvalue()))
    return paths[0], paths[1]
