"""Figures of the loss around a network: lines, filled contours with a trajectory, surfaces."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dlexp.studies import planes
from dlexp.studies.style import COLOURS, DASHES, look
from dlexp.train.member import Member

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.floating]


class Surface(NamedTuple):
    """``losses`` (m, m) at ``coordinates`` (m,) along the first and the second direction."""

    coordinates: FloatArray
    losses: FloatArray


def draw_lines(member: Member, coordinates: FloatArray, losses: FloatArray) -> "Figure":
    """Return a figure of the losses (T, lines, n) along random lines, at the first and the last step."""
    from matplotlib.figure import Figure

    steps, _ = member.recorder.series("landscape/centre_loss")

    with look():
        figure = Figure(figsize=(5.2, 3.9), layout="constrained")
        axes = figure.subplots()
        for index, at in enumerate(dict.fromkeys((0, len(steps) - 1))):
            style: dict[str, Any] = {
                "color": COLOURS[index],
                "linestyle": DASHES[1 - index],
                "zorder": 2 + index,
            }
            for number, line in enumerate(losses[at]):
                label = f"step {steps[at]}" if number == 0 else None
                axes.plot(coordinates, line, label=label, alpha=1 if number == 0 else 0.45, **style)
        drawn = losses[[0, -1]]
        finite = drawn[np.isfinite(drawn)]
        if len(finite) and finite.min() > 0 and finite.max() > planes.LOG_FROM_RATIO * finite.min():
            axes.set_yscale("log")
        axes.set(
            title="Training loss along random lines through the network",
            xlabel="distance along the direction, 0 is the network",
            ylabel="training loss",
        )
        axes.legend()
    return figure


def draw_contours(
    surfaces: Mapping[int, Surface], labels: tuple[str, str], trajectory: FloatArray | None = None
) -> "Figure":
    """Return a figure with a panel of filled contours, log-spaced and common to all, for each step.

    Args:
        surfaces: by step.
        labels: of the two axes.
        trajectory: (T, 2), drawn into the last panel.
    """
    from matplotlib.figure import Figure

    levels, is_log = planes.shared_levels([surface.losses for surface in surfaces.values()])
    with look():
        figure = Figure(figsize=(4.6 * len(surfaces) + 1.2, 4.4), layout="constrained")
        panels = figure.subplots(1, len(surfaces), squeeze=False)[0]
        for axes, (step, surface) in zip(panels, surfaces.items(), strict=True):
            filled = planes.draw_contours(axes, surface.coordinates, surface.losses, levels, is_log=is_log)
            axes.set(title=f"Step {step}", xlabel=labels[0], ylabel=labels[1])
            if trajectory is None or step != max(surfaces):
                axes.plot(0, 0, "+", color="white", markersize=9, markeredgewidth=2)
        if trajectory is not None:
            planes.draw_trajectory(panels[-1], trajectory)
            panels[-1].legend(frameon=True, framealpha=0.9, loc="best")
        bar = figure.colorbar(filled, ax=list(panels), label="training loss")
        if is_log:
            ticks = planes.log_ticks(levels)
            bar.ax.set_yticks(ticks, [f"{tick:.4g}" for tick in ticks])
            bar.ax.minorticks_off()
        figure.suptitle("Training loss on a plane through the network")
    return figure


def draw_surfaces(surfaces: Mapping[int, Surface], labels: tuple[str, str]) -> "Figure":
    """Return a figure with a three-dimensional surface for each step, the directions on an equal scale."""
    from matplotlib.figure import Figure

    levels, is_log = planes.shared_levels([surface.losses for surface in surfaces.values()])
    with look():
        # A constrained layout knows nothing of the labels' places in space.
        figure = Figure(figsize=(5.0 * len(surfaces), 4.6))
        figure.subplots_adjust(left=0, right=0.97, bottom=0.04, top=0.92, wspace=0.02)
        for index, (step, surface) in enumerate(surfaces.items()):
            axes: Any = figure.add_subplot(1, len(surfaces), index + 1, projection="3d")
            planes.draw_surface(axes, surface.coordinates, surface.losses, levels, is_log=is_log)
            axes.set_box_aspect((1, 1, 0.75), zoom=0.88)
            axes.set_title(f"Step {step}", y=0.99)
            axes.set_xlabel(labels[0].partition(":")[0])
            axes.set_ylabel(labels[1].partition(":")[0])
            axes.set_zlabel("log10 of the training loss" if is_log else "training loss")
            axes.locator_params(nbins=5)
            axes.tick_params(labelsize=8, pad=1)
        figure.suptitle("Training loss on a plane through the network")
    return figure
