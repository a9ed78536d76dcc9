"""Figures of the tangent kernel: its drift, before and after, and the gap to the linearised network."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlexp.plots.axes import log, step_axis
from dlexp.plots.lines import paths, placeable, scatter
from dlexp.plots.marks import diagonal
from dlexp.plots.page import finish, new_page
from dlexp.plots.planes import colour_bar, matrix
from dlexp.plots.style import look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

# Two lines that differ by more than this factor need a logarithmic axis to be read.
_APART = 10


def draw_drift(
    steps: Sequence[int],
    *,
    drift: Sequence[float],
    parameter_drift: Sequence[float],
    before: Array,
    after: Array,
    last_step: int,
) -> "Figure":
    """Return a figure of the kernel's and the weights' relative changes and of the kernel before and after.

    Args:
        steps: the optimizer steps (T,), possibly none.
        drift, parameter_drift: relative change of kernel and weights (T,).
        before, after: kernels (N, N) on the same rows, shown on one colour scale.
        last_step: the step of ``after``.

    >>> kernel = np.eye(2)
    >>> figure = draw_drift([0, 9], drift=[0, 0.2], parameter_drift=[0, 0.1], before=kernel, after=kernel,
    ...     last_step=9)
    >>> [axes.get_title() for axes in figure.axes[:3]]
    ['Relative change since initialisation', 'Tangent kernel, step 0', 'Tangent kernel, step 9']
    """
    finite = placeable(np.concatenate([before, after]))
    limits = (np.nanmin(finite, initial=np.inf), np.nanmax(finite, initial=-np.inf))
    with look():
        figure, (axes, *maps) = new_page((1, 3), (10.8, 3.1))
        largest = [np.nanmax(placeable(values), initial=0) for values in (drift, parameter_drift)]
        if min(largest) > 0 and max(largest) > _APART * min(largest):
            log(axes, "y")
        for label, values in {"kernel": drift, "weights": parameter_drift}.items():
            paths(axes, [(steps, values)], label)
        step_axis(axes, steps)
        axes.set(title="Relative change since initialisation", ylabel="|change| / |initial value|")
        for panel, kernel, step in zip(maps, (before, after), (0, last_step), strict=True):
            matrix(panel, kernel, limits if limits[0] <= limits[1] else (0.0, 1.0))
            panel.set(title=f"Tangent kernel, step {step}", xlabel="sample, ordered by target")
        maps[0].set_ylabel("sample, ordered by target")
        colour_bar(maps[-1], "K(x, x')", beside=maps)
        return finish(figure, "The tangent kernel before and after training")


def draw_linearization(
    steps: Sequence[int],
    gap: Sequence[float],
    *,
    network: Array,
    linearized: Array,
    initial: Array,
    last_step: int,
) -> "Figure":
    """Return a figure of the gap over time, and of the two networks' predictions against each other.

    Args:
        steps, gap: optimizer steps and relative distances (T,), possibly none.
        network, linearized, initial: test predictions (M, K) of the trained network, of the linearised one
            and of the initial one.
        last_step: the step of the predictions.

    >>> f = np.array([[0.0], [1.0]])
    >>> figure = draw_linearization([0, 9], [0.0, 0.1], network=f, linearized=f, initial=0 * f, last_step=9)
    >>> figure.axes[1].get_legend_handles_labels()[1]
    ['network, step 0', 'network, step 9']
    """
    with look():
        figure, (left, right) = new_page(2, (8.0, 3.1))
        paths(left, [(steps, gap)])
        step_axis(left, steps)
        left.set(
            title="Distance to the linearised network",
            ylabel=r"$|f - f_\mathrm{lin}| / |f_\mathrm{lin}|$ on test inputs",
        )
        last: dict[str, Any] = {"markersize": 4, "alpha": 0.8}
        scatter(right, linearized.ravel(), initial.ravel(), "network, step 0", **{**last, "marker": "x"})
        scatter(right, linearized.ravel(), network.ravel(), f"network, step {last_step}", **last)
        diagonal(right)
        right.set(
            title=f"Predictions on test inputs, step {last_step}",
            xlabel="linearised network's prediction",
            ylabel="network's prediction",
        )
        return finish(figure, "The network beside its linearisation")
