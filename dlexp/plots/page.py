r"""A figure's page: title, legend, panels and notes above each other, none of which covers another."""

import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlexp.plots.axes import (
    BELOW,
    LEGEND,
    fit,
    is_empty,
    legend,
    legend_below,
    legend_handles,
    number_text,
    thin_ticks,
)
from dlexp.plots.lines import INTERVAL, LARGEST, LEFT_OUT, RUNS
from dlexp.plots.style import SMALL, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

_ALONE, _BESIDE, _ROW = 3.5, 2.8, 2.6  # inches: of one panel, of rows of two, of other rows
_MARGIN, _GAP = 0.1, 0.06
_LETTER = 0.075  # inches of a letter of an axis' name, about


def new_page(
    panels: int | tuple[int, int] = 1, size: tuple[float, float] | None = None
) -> "tuple[Figure, list[Any]]":
    """Return a figure and its panels, inside `look()`.

    Args:
        panels: how many, in rows of at most two, or (rows, columns).
        size: width and height in inches of the panels together; by default as wide as a page.

    >>> figure, panels = new_page(3)
    >>> len(panels), figure.get_size_inches().tolist()
    (3, [7.2, 5.6])
    """
    from matplotlib.figure import Figure

    n = panels if isinstance(panels, int) else panels[0] * panels[1]
    columns = min(n, 2) if isinstance(panels, int) else panels[1]
    rows = -(-n // columns)
    row = _ALONE if n == 1 else _BESIDE if columns == 2 else _ROW
    width, height = size or (WIDTH, row * rows)
    figure: Figure = Figure(figsize=(width, height))
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(n)]


def finish(figure: "Figure", title: str, notes: Sequence[str] = ()) -> "Figure":
    """Fit the panels' axes, write title, legends and notes, and give the panels the room that they leave.

    Panels that have a label in common share a legend, above; otherwise each has its own where it covers
    nothing. A panel without values says so, as the notes do of lines without. The figure grows by what is
    written around its panels.

    Args:
        figure: one whose panels are drawn, with their names.
        title: above all.
        notes: sentences below, after those that say what is drawn (see `explain`).

    >>> from dlexp.plots import band
    >>> figure, (axes,) = new_page()
    >>> _ = band(axes, [(1, 2.0, 1.0, 3.0, [1.5, 2.5])])
    >>> [text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in finish(figure, "Test loss").texts]
    ['Test loss', 'Line: mean over 2 seeds; band: its 95 % interval; dots: single runs.']
    """
    panels: list[Any] = [axes for axes in figure.axes if axes.get_subplotspec() is not None]
    drawn = [axes for axes in panels if axes.name != "3d" and axes.has_data()]
    for axes in panels:
        if not axes.texts and (not axes.has_data() or (axes.lines and all(map(is_empty, axes.lines)))):
            axes.text(0.5, 0.5, "no values yet", transform=axes.transAxes, ha="center", color="#444444")
    numbers = [axes for axes in drawn if not axes.images and axes.get_aspect() == "auto"]
    for axes in numbers:
        fit(axes)
    for axes in panels:
        height = axes.get_window_extent().height / figure.dpi
        axes.set_ylabel(_name(axes.get_ylabel(), max(int(height / _LETTER), 12)))
    handles = [legend_handles(axes) for axes in panels]
    used = [set(found) for found in handles if found]
    is_shared = len(used) < 2 or bool(set.intersection(*used))
    every = {label: handle for found in reversed(handles) for label, handle in found.items()}
    shared = {label: every[label] for found in handles for label in found}
    above = _shared_legend(figure, shared) if is_shared else None
    texts = _write(figure, title, [*explain(figure), *notes])
    height = float(figure.get_size_inches()[1])
    _stack(figure, texts, above, height)
    for axes in numbers:
        thin_ticks(axes)
    if not is_shared:
        height += _own_legends(figure, panels)
        _stack(figure, texts, above, height)
        for axes in panels:
            if axes.get_legend() is not None and _is_below(axes):
                legend_below(axes)
    if all(axes.get_aspect() == "auto" for axes in panels):
        figure.set_layout_engine(None)  # else laid out once more when saved: only then have they their aspect
    return figure


def explain(figure: "Figure") -> list[str]:
    """Return sentences that say what lines, bands and dots are, from what is drawn.

    >>> from dlexp.plots import paths
    >>> figure, (axes,) = new_page()
    >>> _ = paths(axes, [([0, 1], [4.0, 2.0]), ([0, 1], [2.0, 0.0])])
    >>> explain(figure)
    ['Line: mean over 2 seeds; band: its 95 % interval; thin lines: single runs.']
    """
    counts: set[int] = set()
    single: dict[str, None] = {}
    empty, is_low, is_lost, has_bars = [], False, False, False
    for axes in figure.axes:
        n_paths = 0
        for line in axes.lines:
            label = str(line.get_label())
            if label == RUNS and line.get_linestyle() == "None":
                counts |= set(Counter(np.asarray(line.get_xdata()).tolist()).values())
                single["dots"] = None
            elif label == RUNS:
                n_paths += 1
                single["thin lines"] = None
            elif n_paths:
                counts.add(n_paths)
                n_paths = 0
            is_low |= label == BELOW
            is_lost |= label == LEFT_OUT
            if not label.startswith("_") and label and is_empty(line):
                empty.append(label)
        has_bars |= any(container.get_label() == INTERVAL for container in axes.containers)
    notes = []
    if counts:
        seeds = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{max(counts)}"
        shapes = ("Marker", "whiskers") if has_bars else ("Line", "band")
        notes.append(
            f"{shapes[0]}: mean over {seeds} seeds; {shapes[1]}: its 95 % interval; "
            f"{' and '.join(single)}: single runs."
        )
    if is_low:
        notes.append("▼ Below the axis.")
    if is_lost:
        notes.append(f"Left out: values that are undefined, infinite or beyond {number_text(LARGEST)}.")
    if empty:
        notes.append(f"No values yet: {', '.join(dict.fromkeys(empty))}.")
    return notes


def wrapped(text: str, width: int) -> str:
    """Return a text in lines of about `width` letters; words and mathematics between two $ stay whole.

    >>> wrapped("share of $a b$ kept", 10)
    'share of\\n$a b$ kept'
    """
    whole = re.sub(r"\$[^$]+\$", lambda found: found[0].replace(" ", "\0"), text)
    return "\n".join(textwrap.wrap(whole, width, break_long_words=False)).replace("\0", " ")


def _name(text: str, width: int) -> str:
    """Return an axis' name in lines of about `width` letters, broken before brackets if need be."""
    lines = text.replace(" (", "\n(").splitlines() if len(text) > width else [text]
    return "\n".join(wrapped(line, width) for line in lines)


def _shared_legend(figure: "Figure", handles: dict[str, Any]) -> "Legend | None":
    if not any(handles) or list(handles) == [""]:
        return None
    width = float(figure.get_size_inches()[0])
    found = None
    for rows in range(1, len(handles) + 1):
        if found is not None:
            found.remove()
        columns = -(-len(handles) // rows)
        found = figure.legend(
            handles.values(), handles, loc="upper left", ncols=columns, borderaxespad=0, **LEGEND
        )
        if _inches(figure, found)[0] < width - 2 * _MARGIN:
            break
    return found


def _is_mathematics(text: str) -> bool:
    """Return whether what a text has between two $ is mathematics that matplotlib can set."""
    if text.count("$") < 2:
        return False
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(text)
    except ValueError:
        return False
    return True


def _write(figure: "Figure", title: str, notes: Sequence[str]) -> tuple[Any, Any]:
    width = float(figure.get_size_inches()[0])
    # Lines break between sentences only, as far as these fit.
    below = " ".join(note.replace(" ", "\u00a0") for note in dict.fromkeys(notes))
    style: dict[str, Any] = {"fontsize": SMALL, "color": "#444444", "va": "bottom", "ha": "left"}
    head = figure.text(0, 0, wrapped(title, int(width * 12.5)), fontsize=11, va="top", ha="left")
    foot = figure.text(0, 0, wrapped(below, int(width * 15.5)), **style)
    for text in (head, foot):
        text.set_parse_math(_is_mathematics(text.get_text()))
    return head, foot


def _stack(figure: "Figure", texts: tuple[Any, Any], above: "Legend | None", height: float) -> None:
    """Put title, legend, panels of a height in inches and notes above each other, and lay the panels out."""
    width = float(figure.get_size_inches()[0])
    head, foot = (_inches(figure, text)[1] + _MARGIN if text.get_text() else _MARGIN / 2 for text in texts)
    top = head + _GAP + (_inches(figure, above)[1] + _GAP if above else 0.0)
    total = top + height + foot + _GAP
    figure.set_size_inches(width, total)
    texts[0].set_position((_MARGIN / width, 1 - _MARGIN / total))
    texts[1].set_position((_MARGIN / width, _MARGIN / total))
    if above:
        above.set_bbox_to_anchor((_MARGIN / width, 1 - (head + _GAP) / total))
    figure.set_layout_engine(
        "constrained", rect=(0, (foot + _GAP) / total, 1, height / total), w_pad=0.08, h_pad=0.06
    )
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)


def _own_legends(figure: "Figure", panels: "Sequence[Axes]") -> float:
    """Write each panel's legend; return how many inches those below their panels take."""
    taken = []
    for axes in panels:
        found = legend(axes)
        if found is not None and _is_below(axes):
            taken.append(_inches(figure, found)[1])
            found.set_in_layout(True)
    return max(taken, default=0.0)


def _is_below(axes: "Axes") -> bool:
    found = axes.get_legend()
    return found is not None and found.get_window_extent().y1 < axes.get_window_extent().y0


def _inches(figure: "Figure", artist: Any) -> tuple[float, float]:
    extent = artist.get_window_extent()
    return extent.width / figure.dpi, extent.height / figure.dpi
