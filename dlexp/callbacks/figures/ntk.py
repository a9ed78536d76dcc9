"""Figures of the tangent kernel: its drift, before and after, and the gap to the linearised network."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dlexp.callbacks.figures.steps import set_step_axis
from dlexp.studies.style import COLOURS, DASHES, MARKERS, THRESHOLD, look
from dlexp.train.member import Member

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.floating]

# Two lines that differ by more than this factor need a logarithmic axis to be read.
_APART = 10


def draw_drift(member: Member, before: FloatArray, after: FloatArray) -> "Figure":
    """Return a figure of the kernel's and the weights' relative changes and of the kernel before and after.

    Args:
        member: has recorded the changes.
        before, after: kernels (N, N) on the same rows, shown on one colour scale.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    drifts = {
        "kernel": member.recorder.series("ntk/drift"),
        "weights": member.recorder.series("ntk/parameter_drift"),
    }
    both = np.concatenate([before, after])
    finite = both[np.isfinite(both)]
    with look():
        figure = Figure(figsize=(10.8, 3.5), layout="constrained")
        axes, *maps = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
        for index, (label, (steps, values)) in enumerate(drifts.items()):
            _draw_line(axes, steps, values, index, label)
        largest = [np.nanmax(values, initial=0) for _, values in drifts.values()]
        if min(largest) > 0 and max(largest) > _APART * min(largest):
            axes.set_yscale("log")
        axes.legend(loc="best")
        axes.set(title="Relative change since initialisation", ylabel="|change| / |initial value|")
        for panel, kernel, step in zip(maps, (before, after), (0, member.step), strict=True):
            panel.grid(visible=False)
            image = panel.imshow(
                kernel, vmin=finite.min(), vmax=finite.max(), cmap="cividis", interpolation="nearest"
            )
            for axis in (panel.xaxis, panel.yaxis):
                axis.set_major_locator(MaxNLocator(integer=True))
            panel.set(title=f"Tangent kernel, step {step}", xlabel="sample, ordered by target")
        maps[0].set_ylabel("sample, ordered by target")
        figure.colorbar(image, ax=maps, label="K(x, x')")
    return figure


def draw_linearization(
    member: Member, network: FloatArray, linearized: FloatArray, initial: FloatArray
) -> "Figure":
    """Return a figure of the gap over time, and of the two networks' predictions against each other.

    Args:
        member: has recorded the gap.
        network, linearized, initial: test predictions (M, K) of the trained network, of the linearised one
            and of the initial one.
    """
    from matplotlib.figure import Figure

    with look():
        figure = Figure(figsize=(8.0, 3.7), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_line(left, *member.recorder.series("ntk/linearized_gap"), 0, "gap")
        left.set(
            title="Distance to the linearised network",
            ylabel=r"$|f - f_\mathrm{lin}| / |f_\mathrm{lin}|$ on test inputs",
        )
        right.axline((0, 0), slope=1, color=THRESHOLD, ls="--", lw=1, label="equal")
        style = {"ls": "", "markersize": 4, "alpha": 0.8}
        right.plot(
            linearized.ravel(),
            initial.ravel(),
            color=COLOURS[1],
            marker="x",
            label="network, step 0",
            **style,
        )
        right.plot(
            linearized.ravel(),
            network.ravel(),
            color=COLOURS[0],
            marker=MARKERS[0],
            label=f"network, step {member.step}",
            **style,
        )
        right.legend(loc="best")
        right.set(
            title=f"Predictions on test inputs, step {member.step}",
            xlabel="linearised network's prediction",
            ylabel="network's prediction",
        )
    return figure


def _draw_line(axes: "Axes", steps: Sequence[int], values: Sequence[float], style: int, label: str) -> None:
    marker = MARKERS[style] if len(steps) <= 60 else None
    axes.plot(steps, values, color=COLOURS[style], ls=DASHES[style], marker=marker, markersize=4, label=label)
    finite = [value for value in values if np.isfinite(value)]
    axes.set_ylim(0, max(axes.get_ylim()[1], 1.08 * max(finite, default=0)) or 1)
    set_step_axis(axes, steps)
