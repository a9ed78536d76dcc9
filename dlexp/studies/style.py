"""One look for all figures: readable on screen and paper, by the colour-blind and in grey."""

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlexp.records.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, neighbours apart in grey too; a marker and a dash pattern go with each colour.
COLOURS = ("#0072B2", "#E69F00", "#000000", "#D55E00", "#009E73", "#CC79A7")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
THRESHOLD = "#555555"

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
    """Draw in dlexp's look, and without what matplotlib logs about its font cache."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        import matplotlib.style

        with matplotlib.style.context(_PARAMETERS, after_reset=True):
            yield
    finally:
        logger.setLevel(level)


def save(figure: "Figure", stem: Path) -> tuple[Path, Path]:
    """Write a figure as `stem`.png and `stem`.svg, without dates in them; inside `look()`."""
    _lay_out(figure)
    paths = []
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=metadata)
        paths.append(write_atomically(stem.with_name(f"{stem.name}.{suffix}"), buffer.getvalue()))
    return paths[0], paths[1]


def _lay_out(figure: "Figure") -> None:
    """Lay a figure out for good: with an engine, each file takes a layout and two drawings instead of one."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
