"""A figure's page: title, legend, panels and notes above each other, none of which covers another."""

import re
import textwrap
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlexp.studies.drawings.data import StudyRuns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

WIDTH = 7.2  # inches: at 700 pixels a point is a little more than a pixel
_MARGIN, _GAP = 0.1, 0.06
_NOTE_SIZE = 8.5
_LEGEND: dict[str, Any] = {"borderpad": 0, "handlelength": 3.0}  # long enough to tell dashes apart
_Y_LABELS, _X_LABELS = 0.9, 1.0  # inches of a panel that are not its axes
_LABELS_BELOW = 0.5  # of these, under the axes


class Page:
    """A figure with `n` panels in rows of at most two, and what is written around them.

    Args:
        n: the number of panels.
        heights: inches of a row of panels: of a single panel, and where two are beside each other.
        spatial: the panels, by number, that are drawn in three dimensions.
        width: inches of the page.
    """

    text_row = 11.0  # points of a row of labels above a panel

    def __init__(
        self,
        n: int,
        heights: tuple[float, float] = (3.5, 2.8),
        spatial: Container[int] = (),
        width: float = WIDTH,
    ) -> None:
        from matplotlib.figure import Figure

        self._columns = columns = 1 if n == 1 else 2
        rows = -(-n // columns)
        self.width, self.height = width, heights[columns - 1] * rows
        self.figure: Figure = Figure(figsize=(width, self.height))
        self.panels: list[Any] = [
            self.figure.add_subplot(rows, columns, i + 1, projection="3d" if i in spatial else None)
            for i in range(n)
        ]
        self.axis_height = heights[columns - 1] - _X_LABELS
        self.axis_width = width / columns - _Y_LABELS
        self._spare: Axes | None = None
        if n < rows * columns:
            self._spare = self.figure.add_subplot(rows, columns, n + 1)
            self._spare.set_axis_off()
        self.notes: list[str] = []

    def note(self, *sentences: str) -> None:
        """Add sentences to the notes below the panels, each once."""
        self.notes += [sentence for sentence in dict.fromkeys(sentences) if sentence not in self.notes]

    def note_missing(self, absent: Sequence[str], study: StudyRuns) -> None:
        """Note which lines have no runs yet, and how many runs of the others are left out."""
        if absent:
            self.note(f"No values yet: {', '.join(dict.fromkeys(absent))}.")
        if study.unfinished:
            self.note(
                f"Left out: {_runs(len(study.unfinished))} that failed, diverged or did not finish (yet)."
            )
        if study.incomplete:
            self.note(f"Missing or not finite in {_runs(len(study.incomplete))}: some values, left out.")

    def finish(
        self,
        title: str,
        legends: Sequence[Mapping[str, Any]],
        *,
        consistent: bool = True,
        fixed_aspect: bool = False,
    ) -> "Figure":
        """Write title, legends (handles by label, a panel each) and notes; give the panels the room left.

        Panels that have a label in common, which looks the same in all (`consistent`), share a legend: in the
        place of an empty panel, or else above. Otherwise each panel has its own below. Panels of a
        `fixed_aspect` are laid out once more when saved: only then have they taken it.
        """
        above = None
        if len(legends) == 1 or (consistent and set.intersection(*map(set, legends))):
            above = self._shared_legend({label: legend[label] for legend in legends for label in legend})
        else:
            below = [_legend_below(*pair) for pair in zip(self.panels, legends, strict=True)]
            rows = [below[i : i + self._columns] for i in range(0, len(below), self._columns)]
            self.height += sum(max(row) for row in rows)
        self._stack(title, above)
        if not fixed_aspect:
            self.figure.set_layout_engine(None)
        return self.figure

    def _shared_legend(self, handles: Mapping[str, Any]) -> "Legend | None":
        if not any(handles) or (self._spare is None and list(handles) == [""]):
            return None
        if self._spare is not None:
            self._spare.legend(handles.values(), handles, loc="center", **_LEGEND)
            return None
        legend = None
        for rows in range(1, len(handles) + 1):
            columns = -(-len(handles) // rows)
            if legend is not None:
                legend.remove()
            legend = self.figure.legend(
                handles.values(), handles, loc="upper left", ncols=columns, borderaxespad=0, **_LEGEND
            )
            if _inches(self.figure, legend)[0] < self.width - 2 * _MARGIN:
                break
        return legend

    def _stack(self, title: str, legend: "Legend | None") -> None:
        figure = self.figure
        texts = [
            figure.text(0, 0, wrapped(title, int(self.width * 12.5)), fontsize=11, va="top", ha="left"),
            figure.text(
                0,
                0,
                wrapped(" ".join(note.replace(" ", "\u00a0") for note in self.notes), int(self.width * 15.5)),
                fontsize=_NOTE_SIZE,
                color="#444444",
                va="bottom",
                ha="left",
            ),
        ]
        head, foot = (_inches(figure, text)[1] + _MARGIN for text in texts)
        above = head + _GAP + (_inches(figure, legend)[1] + _GAP if legend else 0.0)
        total = above + self.height + foot + _GAP
        figure.set_size_inches(self.width, total)
        texts[0].set_position((_MARGIN / self.width, 1 - _MARGIN / total))
        texts[1].set_position((_MARGIN / self.width, _MARGIN / total))
        if legend:
            legend.set_bbox_to_anchor((_MARGIN / self.width, 1 - (head + _GAP) / total))
        figure.set_layout_engine(
            "constrained", rect=(0, (foot + _GAP) / total, 1, self.height / total), w_pad=0.08, h_pad=0.06
        )
        engine = figure.get_layout_engine()
        assert engine is not None
        engine.execute(figure)  # marks are placed by where the axes are


def _runs(count: int) -> str:
    return f"{count} run{'s' if count > 1 else ''}"


def _legend_below(axes: "Axes", handles: Mapping[str, Any]) -> float:
    """Write a legend under a panel's x label; return how many inches high it is."""
    from matplotlib.transforms import ScaledTranslation

    if not any(handles):
        return 0.0
    figure = axes.get_figure(root=True)
    assert figure is not None
    below = axes.transAxes + ScaledTranslation(0, -_LABELS_BELOW, figure.dpi_scale_trans)
    legend = axes.legend(
        handles.values(),
        handles,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=below,
        borderaxespad=0,
        fontsize=_NOTE_SIZE,
        **_LEGEND,
    )
    return _inches(figure, legend)[1]


def _inches(figure: "Figure", artist: Any) -> tuple[float, float]:
    extent = artist.get_window_extent()
    return extent.width / figure.dpi, extent.height / figure.dpi


def wrapped(text: str, width: int) -> str:
    """Return a text in lines of about `width` letters; words and mathematics between two $ stay whole."""
    whole = re.sub(r"\$[^$]+\$", lambda found: found[0].replace(" ", "\0"), text)
    return "\n".join(textwrap.wrap(whole, width, break_long_words=False)).replace("\0", " ")
