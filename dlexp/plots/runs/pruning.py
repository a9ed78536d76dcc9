"""Figure of iterative pruning: test loss, and error, against the share of weights kept."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dlexp.plots.axes import ticks_at
from dlexp.plots.lines import paths
from dlexp.plots.marks import threshold
from dlexp.plots.page import finish, new_page
from dlexp.plots.style import look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES = {
    "none": "Lottery ticket: rewound and trained again",
    "random": "Control: random masks",
    "reinitialize": "Control: the ticket's masks, new initialisations",
    "random_signs": "Control: the ticket's masks, random signs",
}
PANELS = {"pruning/test_loss": "test loss", "pruning/test_error": "test error"}


def draw_pruning(values: Mapping[str, Sequence[float]], *, control: str) -> "Figure":
    """Return a figure with a panel for each measure of the trained networks, dense on the left.

    Args:
        values: ``pruning/density`` and measures, a key of ``PANELS`` each, one value for each cycle; those
            that are not finite are left out.
        control: a key of ``TITLES``.

    >>> values = {"pruning/density": [1.0, 0.5], "pruning/test_loss": [0.2, 0.3]}
    >>> axes = draw_pruning(values, control="none").axes[0]
    >>> [label.get_text() for label in axes.get_xticklabels()], bool(axes.xaxis_inverted())
    (['50', '100'], True)
    """
    measures = [name for name in PANELS if name in values]
    densities = list(values["pruning/density"])
    with look():
        figure, panels = new_page(len(measures), (4.2 * len(measures) + 0.6, 3.0))
        for axes, name in zip(panels, measures, strict=True):
            axes.set_xscale("log")
            paths(axes, [(densities, values[name])])
            if math.isfinite(values[name][0]):
                threshold(axes, "dense network", y=values[name][0])
            axes.set(xlabel="weights kept (%)", ylabel=PANELS[name])
            kept = sorted(set(densities))
            ticks_at(axes, kept, [f"{100 * density:.3g}" for density in kept])
            axes.set_xlim(max(densities) * 1.08, min(densities) / 1.08)
        return finish(figure, TITLES[control])
