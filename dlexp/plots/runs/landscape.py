"""Figures of the loss around a network: lines, filled contours with a trajectory, surfaces."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy.typing as npt

from dlexp.plots import planes
from dlexp.plots.axes import log_if_wide
from dlexp.plots.lines import drawable
from dlexp.plots.page import finish, new_page
from dlexp.plots.style import line_style, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

_TITLE = "Training loss on a plane through the network"


class Surface(NamedTuple):
    """``losses`` (m, m) at ``coordinates`` (m,) along the first and the second direction."""

    coordinates: Array
    losses: Array


def draw_lines(steps: Sequence[int], coordinates: Array, losses: Array) -> "Figure":
    """Return a figure of the losses (T, lines, n) along random lines, at the first and the last step.

    >>> import numpy as np
    >>> losses = np.array([[[1.0, 0.5, 1.0]], [[3.0, 0.1, 3.0]]])
    >>> draw_lines([0, 10], np.array([-1, 0, 1]), losses).axes[0].get_legend_handles_labels()[1]
    ['step 0', 'step 10']
    """
    with look():
        figure, (axes,) = new_page(size=(5.4, 3.6))
        log_if_wide(axes, losses[[0, -1]].ravel())
        for at in dict.fromkeys((0, len(steps) - 1)):
            label = f"step {steps[at]}"
            style: dict[str, Any] = {**line_style(axes, label), "marker": None}
            for number, line in enumerate(drawable(axes, losses[at])):
                name = label if number == 0 else "_line"
                axes.plot(coordinates, line, label=name, **{**style, "alpha": 0.45 if number else 1})
        axes.set(xlabel="distance along the direction, 0 is the network", ylabel="training loss")
        return finish(figure, "Training loss along random lines through the network")


def draw_contours(
    surfaces: Mapping[int, Surface], labels: tuple[str, str], trajectory: Array | None = None
) -> "Figure":
    """Return a figure with a panel of filled contours, log-spaced and common to all, for each step.

    Args:
        surfaces: by step.
        labels: of the two axes.
        trajectory: (T, 2), drawn into the last panel.

    >>> import numpy as np
    >>> at = np.linspace(-1, 1, 5)
    >>> figure = draw_contours({7: Surface(at, at[:, None] ** 2 + at**2)}, ("first", "second"))
    >>> figure.axes[0].get_title(), figure.axes[0].get_xlabel()
    ('Step 7', 'first')
    """
    levels = planes.Levels([surface.losses for surface in surfaces.values()])
    n = len(surfaces)
    with look():
        figure, panels = new_page((1, n), (4.2 * n + 1.2, 3.7))
        for axes, (step, surface) in zip(panels, surfaces.items(), strict=True):
            planes.surface(axes, surface.coordinates, surface.losses, levels)
            axes.set(title=f"Step {step}", xlabel=labels[0], ylabel=labels[1])
            if trajectory is None or step != max(surfaces):
                axes.plot(0, 0, "+", color="white", markersize=9, markeredgewidth=2, label="_network")
        if trajectory is not None:
            planes.trajectory(panels[-1], trajectory)
        planes.colour_bar(panels[-1], "training loss", levels, panels)
        return finish(figure, _TITLE)


def draw_surfaces(surfaces: Mapping[int, Surface], labels: tuple[str, str]) -> "Figure":
    """Return a figure with a three-dimensional surface for each step, the directions on an equal scale.

    >>> import numpy as np
    >>> at = np.linspace(-1, 1, 5)
    >>> figure = draw_surfaces({7: Surface(at, at[:, None] ** 2 + at**2)}, ("first", "second"))
    >>> figure.axes[0].name, figure.axes[0].get_title()
    ('3d', 'Step 7')
    """
    from matplotlib.figure import Figure

    levels = planes.Levels([surface.losses for surface in surfaces.values()])
    n = len(surfaces)
    with look():
        # A layout engine knows nothing of the labels' places in space.
        figure = Figure(figsize=(5.0 * n, 4.6))
        figure.subplots_adjust(left=0, right=0.97, bottom=0.04, top=0.92, wspace=0.02)
        for index, (step, surface) in enumerate(surfaces.items()):
            axes: Any = figure.add_subplot(1, n, index + 1, projection="3d")
            planes.surface(axes, surface.coordinates, surface.losses, levels)
            axes.set_box_aspect((1, 1, 0.75), zoom=0.88)
            axes.set_title(f"Step {step}", y=0.99)
            axes.set(xlabel=labels[0], ylabel=labels[1], zlabel="training loss")
        figure.suptitle(_TITLE)
    return figure
