"""A figure's page: title, legend, panels and notes above each other, none of which covers another."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlexp.studies.drawings.data import Study
from dlexp.studies.panels import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

WIDTH = 7.2  # inches: at 700 pixels a point is a little more than a pixel
_MARGIN, _GAP = 0.1, 0.06
_NOTE_SIZE = 8.5
_LABELS_BELOW = 0.5  # inches under a panel that ticks and the x label take


class Page:
    """A figure with `n` panels in one or two columns, and what is written around them.

    Args:
        n: the number of panels.
        heights: inches of a row of panels: of a single panel, and where two are beside each other.
    """

    text_row = 11.0  # points of a row of labels above a panel

    def __init__(self, n: int, heights: tuple[float, float] = (3.5, 2.8)) -> None:
        from matplotlib.figure import Figure

        columns = 1 if n == 1 else 2
        rows = -(-n // columns)
        self.height = heights[columns - 1] * rows
        self.figure: Figure = Figure(figsize=(WIDTH, self.height))
        grid = list(self.figure.subplots(rows, columns, squeeze=False).flat)
        self.panels: list[Axes] = grid[:n]
        self.panel_width = WIDTH / columns
        self._spare: Axes | None = grid[n] if n < len(grid) else None
        if self._spare is not None:
            self._spare.set_axis_off()
        self.notes: list[str] = []

    def note(self, *sentences: str) -> None:
        """Add sentences to the notes below the panels, each once."""
        self.notes += [sentence for sentence in dict.fromkeys(sentences) if sentence not in self.notes]

    def explain(self, series: Sequence[Series], singles: str) -> None:
        """Note what lines, bands and single runs are, and over how many seeds."""
        counts = {len(values) for one in series for values in one.replicates}
        if not counts:
            return
        seeds = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{max(counts)}"
        many = f"Line: mean over {seeds} seeds; band: its 95 % interval; {singles}: single runs."
        self.notes.insert(0, many if max(counts) > 1 else "One seed.")

    def explain_missing(self, absent: Sequence[str], study: Study) -> None:
        """Note which lines have no runs yet, and how many runs of the others are left out."""
        if absent:
            self.note(f"No runs yet: {', '.join(dict.fromkeys(absent))}.")
        if study.unfinished:
            self.note(f"Left out: {_runs(len(study.unfinished))} that failed, diverged or did not finish (yet).")
        if study.incomplete:
            self.note(f"Missing or not finite in {_runs(len(study.incomplete))}: some values, left out.")

    def finish(self, title: str, legends: Sequence[Mapping[str, Any]]) -> "Figure":
        """Write title, legends (handles by label, a panel each) and notes; give the panels the room left.

        Panels that share what they show share a legend; it takes the place of an empty panel, or else is
        above. Otherwise each panel has its own below.
        """
        every = max(legends, key=len, default={})
        above = None
        if all(set(legend) <= set(every) for legend in legends):
            above = self._shared_legend(every)
        else:
            for axes, legend in zip(self.panels, legends, strict=True):
                _legend_below(axes, legend)
        self._stack(title, above)
        return self.figure

    def _shared_legend(self, handles: Mapping[str, Any]) -> "Legend | None":
        if not any(handles) or (self._spare is None and list(handles) == [""]):
            return None
        if self._spare is not None:
            self._spare.legend(handles.values(), handles, loc="center")
            return None
        legend = None
        for columns in range(len(handles), 0, -1):
            if legend is not None:
                legend.remove()
            legend = self.figure.legend(
                handles.values(), handles, loc="upper left", ncols=columns, borderaxespad=0, borderpad=0
            )
            if _inches(self.figure, legend)[0] < WIDTH - 2 * _MARGIN:
                break
        return legend

    def _stack(self, title: str, legend: "Legend | None") -> None:
        figure = self.figure
        texts = [
            figure.text(0, 0, _filled(title, int(WIDTH * 12.5)), fontsize=11, va="top", ha="left"),
            figure.text(
                0,
                0,
                _filled(" ".join(note.replace(" ", "\u00a0") for note in self.notes), int(WIDTH * 15.5)),
                fontsize=_NOTE_SIZE,
                color="#444444",
                va="bottom",
                ha="left",
            ),
        ]
        head, foot = (_inches(figure, text)[1] + _MARGIN for text in texts)
        above = head + _GAP + (_inches(figure, legend)[1] + _GAP if legend else 0.0)
        total = above + self.height + foot + _GAP
        figure.set_size_inches(WIDTH, total)
        texts[0].set_position((_MARGIN / WIDTH, 1 - _MARGIN / total))
        texts[1].set_position((_MARGIN / WIDTH, _MARGIN / total))
        if legend:
            legend.set_bbox_to_anchor((_MARGIN / WIDTH, 1 - (head + _GAP) / total))
        figure.set_layout_engine(
            "constrained", rect=(0, (foot + _GAP) / total, 1, self.height / total), w_pad=0.08, h_pad=0.06
        )
        figure.draw_without_rendering()


def _runs(count: int) -> str:
    return f"{count} run{'s' if count > 1 else ''}"


def _legend_below(axes: "Axes", handles: Mapping[str, Any]) -> None:
    from matplotlib.transforms import ScaledTranslation

    if not any(handles):
        return
    figure = axes.get_figure(root=True)
    assert figure is not None
    below = axes.transAxes + ScaledTranslation(0, -_LABELS_BELOW, figure.dpi_scale_trans)
    axes.legend(
        handles.values(),
        handles,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=below,
        borderaxespad=0,
        fontsize=8.5,
    )


def _inches(figure: "Figure", artist: Any) -> tuple[float, float]:
    extent = artist.get_window_extent()
    return extent.width / figure.dpi, extent.height / figure.dpi


def _filled(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width, break_long_words=False, replace_whitespace=False)) or " "
