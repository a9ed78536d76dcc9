"""Figure of barriers: the loss along the paths between two networks, and the barriers while they train."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dlexp.callbacks.figures.steps import set_step_axis
from dlexp.studies.style import COLOURS, DASHES, MARKERS, look
from dlexp.train.member import Member

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.floating]

LABELS = {"linear": "straight line", "matched": "line, units matched", "curve": "Bezier curve"}
LOG_FROM_RATIO = 30.0


def draw_barrier(
    member: Member, positions: FloatArray, losses: Mapping[str, FloatArray], *, partner: str
) -> "Figure":
    """Return a figure of the last losses along each path, and of the barriers over time if there are any.

    Args:
        member: has recorded the barriers, at T >= 1 steps.
        positions: on the paths (points,), from 0, the network, to 1, the partner.
        losses: by ``linear``, ``matched`` (T, points) and ``curve`` (points,), on the test set with the
            prefix ``test_``.
        partner: what the partner is.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    steps, _ = member.recorder.series("barrier/linear")
    with look():
        n_panels = 3 if len(steps) > 1 else 2
        figure = Figure(figsize=(4.0 * n_panels, 3.7), layout=ConstrainedLayoutEngine(w_pad=0.1))
        panels = figure.subplots(1, n_panels)
        for axes, prefix, title in ((panels[0], "", "Training loss"), (panels[1], "test_", "Test loss")):
            paths = {path: losses[prefix + path] for path in LABELS if prefix + path in losses}
            _draw_paths(axes, positions, {path: np.atleast_2d(values)[-1] for path, values in paths.items()})
            axes.set(title=f"{title}, step {steps[-1]}", ylabel="loss")
            axes.set_xticks([0, 0.5, 1], ["this\nnetwork", "position\non the path", "partner"])
        if n_panels == 3:
            _draw_barriers(panels[2], member)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(LABELS))
        figure.suptitle(f"Loss between the network and its partner ({partner})")
    return figure


def _draw_paths(axes: "Axes", positions: FloatArray, paths: Mapping[str, FloatArray]) -> None:
    for index, (path, values) in enumerate(paths.items()):
        colour, marker = COLOURS[index], MARKERS[index]
        axes.plot(positions, values, color=colour, linestyle=DASHES[index], label=LABELS[path], zorder=3)
        axes.plot(positions[[0, -1]], values[[0, -1]], marker, color=colour, clip_on=False, zorder=4)
    _scale(axes, np.concatenate(list(paths.values())))


def _draw_barriers(axes: "Axes", member: Member) -> None:
    for index, path in enumerate(LABELS):
        axes.plot(
            *member.recorder.series(f"barrier/{path}"),
            color=COLOURS[index],
            linestyle=DASHES[index],
            marker=MARKERS[index],
            clip_on=False,
            zorder=3,
        )
    set_step_axis(axes, member.recorder.series("barrier/linear")[0])
    axes.set_ylim(bottom=0)
    axes.set(title="Barrier while training", ylabel="barrier of the training loss")


def _scale(axes: "Axes", values: FloatArray) -> None:
    """Choose a logarithmic axis where low and high paths would not both be seen on a linear one."""
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() > LOG_FROM_RATIO * finite.min():
        axes.set_yscale("log")
    elif len(finite) and finite.min() >= 0:
        axes.set_ylim(0, 1.08 * finite.max() or 1)
