"""Figure of critical points: their loss against their index."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dlexp.studies.style import COLOURS, MARKERS, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_critical_points(
    index: npt.NDArray[np.integer], loss: npt.NDArray[np.floating], *, n_starts: int
) -> "Figure":
    """Return a figure of the loss (points,) of critical points against their index (points,), mean marked.

    ``n_starts``: how many searches found them.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with look():
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.subplots()
        axes.plot(index, loss, MARKERS[0], color=COLOURS[0], markersize=5, alpha=0.6, label="critical point")
        indices = np.unique(index)
        means = [loss[index == k].mean() for k in indices]
        axes.plot(indices, means, color=COLOURS[1], ls="", marker="_", markersize=18, label="mean")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(
            title=f"{len(index)} critical points found by {n_starts} searches",
            xlabel="index (negative eigenvalues of the Hessian)",
            ylabel="training loss",
        )
        if len(index):
            axes.legend(loc="best")
    return figure
