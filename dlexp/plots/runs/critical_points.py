"""Figure of critical points: their loss against their index."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlexp.plots.axes import ticks_at
from dlexp.plots.lines import scatter
from dlexp.plots.page import finish, new_page
from dlexp.plots.style import look

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_critical_points(index: npt.NDArray[Any], loss: npt.NDArray[Any], *, n_starts: int) -> "Figure":
    """Return a figure of the loss (points,) of critical points against their index (points,), mean marked.

    ``n_starts``: how many searches found them.

    >>> figure = draw_critical_points(np.array([0, 1, 1]), np.array([0.1, 0.4, 0.6]), n_starts=8)
    >>> [line.get_xydata().tolist() for line in figure.axes[0].lines if line.get_label() == "mean"]
    [[[0.0, 0.1], [1.0, 0.5]]]
    """
    indices = np.unique(index)
    means = [loss[index == k].mean() for k in indices]
    with look():
        figure, (axes,) = new_page()
        scatter(axes, index, loss, "critical point", alpha=0.6)
        scatter(axes, indices, means, "mean", marker="_", markersize=18, alpha=1)
        ticks_at(axes, range(int(np.min(index)), int(np.max(index)) + 1) if len(index) else ())
        axes.set(xlabel="index (negative eigenvalues of the Hessian)", ylabel="training loss")
        return finish(figure, f"{len(index)} critical points found by {n_starts} searches")
