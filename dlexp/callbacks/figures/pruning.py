"""Figure of iterative pruning: test loss, and error, against the share of weights kept."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlexp.studies.style import COLOURS, MARKERS, THRESHOLD, look
from dlexp.train.member import Member

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = {
    "none": "Lottery ticket: rewound and trained again",
    "random": "Control: random masks",
    "reinitialize": "Control: the ticket's masks, new initialisations",
    "random_signs": "Control: the ticket's masks, random signs",
}
PANELS = {"pruning/test_loss": "test loss", "pruning/test_error": "test error"}


def draw_pruning(member: Member, *, control: str) -> "Figure":
    """Return a figure with a panel for each measure of the trained networks, dense on the left.

    Args:
        member: has recorded ``pruning/density`` and measures, a key of ``PANELS`` each, at the end of each
            cycle; those that are not finite are left out.
        control: a key of ``TITLES``.
    """
    from matplotlib.figure import Figure

    recorded = {name: member.recorder.series(name)[1] for name in PANELS}
    values = {name: series for name, series in recorded.items() if series}
    _, densities = member.recorder.series("pruning/density")
    measures = list(values)
    with look():
        figure = Figure(figsize=(4.4 * len(measures) + 0.6, 3.6), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(measures), squeeze=False)[0], measures, strict=True):
            drawn = [value if math.isfinite(value) else math.nan for value in values[name]]
            axes.axhline(drawn[0], color=THRESHOLD, linestyle=":", linewidth=1.2, label="dense network")
            axes.plot(densities, drawn, color=COLOURS[0], marker=MARKERS[0], label="pruned", clip_on=False)
            axes.set(xlabel="weights kept (%)", ylabel=PANELS[name])
            axes.set_ylim(0, 1.1 * max((v for v in drawn if math.isfinite(v)), default=0) or 1)
            _set_density_axis(axes, densities)
            axes.legend(loc="best")
        figure.suptitle(TITLES[control])
    return figure


def _set_density_axis(axes: "Axes", densities: Sequence[float]) -> None:
    """Show densities in per cent on a logarithmic axis that falls to the right, a tick for each."""
    axes.set_xscale("log")
    axes.set_xlim(max(densities) * 1.08, min(densities) / 1.08)
    axes.minorticks_off()
    shown = list(dict.fromkeys(densities))
    every = math.ceil(len(shown) / 7)
    axes.set_xticks(shown[::every], [f"{100 * density:.3g}" for density in shown[::every]])
