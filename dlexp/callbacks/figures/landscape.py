"""Figures of the loss around a network: lines, filled contours with a trajectory, surfaces."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dlexp.studies.scales import DECADES_SHOWN
from dlexp.studies.style import COLOURS, DASHES, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.floating]

N_LEVELS = 24
LOG_FROM_RATIO = 10.0
COLOUR_MAP = "viridis"  # its lightness rises evenly: it reads in grey


class Surface(NamedTuple):
    """``losses`` (m, m) at ``coordinates`` (m,) along the first and the second direction."""

    coordinates: FloatArray
    losses: FloatArray


def draw_lines(steps: Sequence[int], coordinates: FloatArray, losses: FloatArray) -> "Figure":
    """Return a figure of the losses (T, lines, n) along random lines, at the first and the last step."""
    from matplotlib.figure import Figure

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
        if len(finite) and finite.min() > 0 and finite.max() > LOG_FROM_RATIO * finite.min():
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
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.figure import Figure

    levels, is_log = contour_levels([surface.losses for surface in surfaces.values()])
    norm = (LogNorm if is_log else Normalize)(levels[0], levels[-1])
    with look():
        figure = Figure(figsize=(4.6 * len(surfaces) + 1.2, 4.4), layout="constrained")
        panels = figure.subplots(1, len(surfaces), squeeze=False)[0]
        for axes, (step, surface) in zip(panels, surfaces.items(), strict=True):
            # Values beyond the levels, of the lowest decades or not finite, take the outermost colours.
            shown = np.clip(np.nan_to_num(surface.losses, nan=np.inf), levels[0], levels[-1])
            at = surface.coordinates
            filled = axes.contourf(at, at, shown.T, levels=levels, norm=norm, cmap=COLOUR_MAP)
            axes.contour(at, at, shown.T, levels=levels[::3], colors="white", linewidths=0.4, alpha=0.7)
            axes.set(title=f"Step {step}", xlabel=labels[0], ylabel=labels[1], aspect="equal")
            axes.grid(visible=False)
            axes.locator_params(nbins=6)
            if trajectory is None or step != max(surfaces):
                axes.plot(0, 0, "+", color="white", markersize=9, markeredgewidth=2)
        if trajectory is not None:
            _draw_trajectory(panels[-1], trajectory)
        bar = figure.colorbar(filled, ax=list(panels), label="training loss")
        if is_log:
            _set_log_ticks(bar.ax, levels)
        figure.suptitle("Training loss on a plane through the network")
    return figure


def draw_surfaces(surfaces: Mapping[int, Surface], labels: tuple[str, str]) -> "Figure":
    """Return a figure with a three-dimensional surface for each step, the directions on an equal scale."""
    from matplotlib.figure import Figure

    levels, is_log = contour_levels([surface.losses for surface in surfaces.values()])
    height = np.log10 if is_log else np.asarray
    low, high = height(levels[0]), height(levels[-1])
    with look():
        # A constrained layout knows nothing of the labels' places in space.
        figure = Figure(figsize=(5.0 * len(surfaces), 4.6))
        figure.subplots_adjust(left=0, right=0.97, bottom=0.04, top=0.92, wspace=0.02)
        for index, (step, surface) in enumerate(surfaces.items()):
            axes: Any = figure.add_subplot(1, len(surfaces), index + 1, projection="3d")
            first, second = np.meshgrid(surface.coordinates, surface.coordinates, indexing="ij")
            shown = height(np.clip(np.nan_to_num(surface.losses, nan=np.inf), levels[0], levels[-1]))
            axes.plot_surface(
                first,
                second,
                shown,
                cmap=COLOUR_MAP,
                vmin=low,
                vmax=high,
                rcount=len(first),
                ccount=len(first),
                edgecolor="black",
                linewidth=0.1,
            )
            axes.set_box_aspect((1, 1, 0.75), zoom=0.88)
            axes.set_zlim(low, high)
            axes.set_title(f"Step {step}", y=0.99)
            axes.set_xlabel(labels[0])
            axes.set_ylabel(labels[1])
            axes.set_zlabel("log10 of the training loss" if is_log else "training loss")
            axes.locator_params(nbins=5)
            axes.tick_params(labelsize=8, pad=1)
        figure.suptitle("Training loss on a plane through the network")
    return figure


def contour_levels(losses: Sequence[FloatArray]) -> tuple[FloatArray, bool]:
    """Return the levels that show all finite losses, and whether they are logarithmic.

    They are where the losses are positive and differ by more than a factor of 10, over at most
    ``DECADES_SHOWN`` decades below the highest.
    """
    values = np.concatenate([array[np.isfinite(array)] for array in losses])
    if len(values) == 0:
        return np.linspace(0, 1, N_LEVELS), False
    low, high = float(values.min()), float(values.max())
    if high > 0 and low >= 0 and high > LOG_FROM_RATIO * low:
        return np.geomspace(max(low, high * 10.0**-DECADES_SHOWN), high, N_LEVELS), True
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300):  # a flat surface still needs levels apart
        low, high = low - 0.5 * abs(low) - 1e-9, high + 0.5 * abs(high) + 1e-9
    return np.linspace(low, high, N_LEVELS), False


def _draw_trajectory(axes: "Axes", trajectory: FloatArray) -> None:
    axes.plot(*trajectory.T, "-", color="white", linewidth=3.2)
    axes.plot(*trajectory.T, ".-", color="black", linewidth=1.2, markersize=5, label="networks measured")
    axes.plot(*trajectory[0], "s", color="white", markeredgecolor="black", label="first")
    axes.plot(*trajectory[-1], "*", color="white", markeredgecolor="black", markersize=13, label="last")
    axes.legend(frameon=True, framealpha=0.9, loc="best")


def _set_log_ticks(axes: "Axes", levels: FloatArray) -> None:
    """Put ticks at 1, 2 and 5 of each decade, or at the decades alone where there are many."""
    exponents = np.arange(np.floor(np.log10(levels[0])), np.ceil(np.log10(levels[-1])) + 1)
    digits = (1, 2, 5) if len(exponents) <= 4 else (1,)
    ticks = [
        digit * 10.0**exponent
        for exponent in exponents
        for digit in digits
        if levels[0] <= digit * 10.0**exponent <= levels[-1]
    ]
    axes.set_yticks(ticks, [f"{tick:.4g}" for tick in ticks])
    axes.minorticks_off()
