"""Figure of barriers: the loss along the paths between two networks, and the barriers while they train."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlexp.plots.axes import log_if_wide, step_axis
from dlexp.plots.lines import paths, placeable
from dlexp.plots.page import finish, new_page
from dlexp.plots.style import look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

LABELS = {"linear": "straight line", "matched": "line, units matched", "curve": "Bezier curve"}
LOG_FROM_RATIO = 30.0  # above it low and high paths would not both be seen on a linear axis


def draw_barrier(
    steps: Sequence[int], positions: Array, losses: Mapping[str, Array], *, partner: str
) -> "Figure":
    """Return a figure of the last losses along each path, and of the barriers over time if there are any.

    Args:
        steps: the optimizer steps, T >= 1, at which was measured.
        positions: on the paths (points,), from 0, the network, to 1, the partner.
        losses: by ``linear``, ``matched`` (T, points) and ``curve`` (points,), on the test set with the
            prefix ``test_``.
        partner: what the partner is.

    >>> positions = np.linspace(0, 1, 3)
    >>> losses = {"linear": np.array([[0.0, 2.0, 0.0]]), "test_linear": np.array([[1.0, 3.0, 1.0]])}
    >>> [axes.get_title() for axes in draw_barrier([100], positions, losses, partner="a twin").axes]
    ['Training loss, step 100', 'Test loss, step 100']
    """
    with look():
        n = 3 if len(steps) > 1 else 2
        figure, panels = new_page((1, n), (3.6 * n, 2.9))
        for axes, prefix, title in ((panels[0], "", "Training loss"), (panels[1], "test_", "Test loss")):
            drawn = {
                path: np.atleast_2d(losses[prefix + path])[-1] for path in LABELS if prefix + path in losses
            }
            log_if_wide(axes, np.concatenate(list(drawn.values())), LOG_FROM_RATIO)
            for path, values in drawn.items():
                paths(axes, [(positions, values)], LABELS[path])
            axes.set(title=f"{title}, step {steps[-1]}", ylabel="loss")
            axes.set_xticks([0, 0.5, 1], ["this\nnetwork", "position\non the path", "partner"])
        for path in [path for path in LABELS if path in losses and n == 3]:
            array = placeable(np.atleast_2d(losses[path]))
            t = np.linspace(0, 1, array.shape[1])
            ends = (1 - t) * array[:, :1] + t * array[:, -1:]
            paths(panels[2], [(steps[-len(array) :], (array - ends).max(axis=1))], LABELS[path])
        if n == 3:
            step_axis(panels[2], steps)
            panels[2].set(title="Barrier while training", ylabel="barrier of the training loss")
        return finish(figure, f"Loss between the network and its partner ({partner})")
