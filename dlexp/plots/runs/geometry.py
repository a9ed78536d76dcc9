"""Figure of the representations' geometry: each measure by layer, before and after, and CKA heat maps."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlexp.plots.axes import ticks_at
from dlexp.plots.lines import paths
from dlexp.plots.page import finish, new_page
from dlexp.plots.planes import colour_bar, matrix
from dlexp.plots.style import look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

# Title and y label of each measure's panel.
PANELS = {
    "probe_error": ("Linear probe, test set", "error"),
    "pca_dimension": ("Principal components", "number of components"),
    "participation_ratio": ("Participation ratio", "effective dimension"),
    "twonn_dimension": ("Two nearest neighbours", "intrinsic dimension"),
    "class_separation": ("Class separation", "variance between / within"),
    "cka": ("Similarity to initialisation", "debiased CKA"),
}
_COLUMNS = 4


def draw_geometry(
    steps: Sequence[int],
    values: Mapping[str, Array],
    cka_layers: Mapping[int, Array],
    *,
    labels: Mapping[str, str],
) -> "Figure":
    """Return a figure with a panel for each measure, the first and the last step measured as lines.

    Args:
        steps: the optimizer steps, T >= 1, at which was measured.
        values: for each measure, by a key of ``PANELS``, its values (T, layers); those that are not finite
            are left out.
        cka_layers: by step, the CKA of all layers with each other (layers, layers): a heat map each.
        labels: by measure, y labels that say more than those of ``PANELS``.

    >>> values = {"probe_error": np.array([[0.5, 0.4], [0.5, 0.1]])}
    >>> axes = draw_geometry([0, 100], values, {}, labels={}).axes[0]
    >>> axes.get_title(), axes.get_legend_handles_labels()[1]
    ('Linear probe, test set', ['step 0', 'step 100'])
    """
    n = len(values) + len(cka_layers)
    columns = min(_COLUMNS, n)
    rows = math.ceil(n / columns)
    with look():
        figure, panels = new_page((rows, columns), (3.1 * columns + 0.6, 2.7 * rows))
        for axes in panels[n:]:
            axes.remove()
        for axes, (measure, array) in zip(panels, values.items(), strict=False):
            _draw_layers(axes, steps, array)
            title, label = PANELS[measure]
            axes.set(title=title, ylabel=labels.get(measure, label))
        for axes, (step, similarities) in zip(panels[len(values) :], cka_layers.items(), strict=False):
            matrix(axes, similarities, (0, 1), numbers=True)
            axes.invert_yaxis()  # the input below, as in a network's picture
            ticks = range(len(similarities))
            axes.set(xlabel="layer (0 is the input)", ylabel="layer", xticks=ticks, yticks=ticks)
            axes.set_title(f"Layers with each other, step {step}")
        if cka_layers:
            colour_bar(panels[n - 1], "debiased CKA")
        return finish(figure, "Geometry of the representations")


def _draw_layers(axes: "Axes", steps: Sequence[int], values: Array) -> None:
    layers = np.arange(values.shape[1])
    if not np.isfinite(values[[0, -1]]).any():
        axes.text(0.5, 0.5, "not defined", transform=axes.transAxes, ha="center")
        axes.set_yticks([])
    else:
        # Hollow and larger first: seen also where nothing has changed.
        first: dict[str, Any] = {"markersize": 8, "markerfacecolor": "none", "linestyle": "--"}
        styles = dict(zip((0, len(steps) - 1), (first, {"linestyle": "-"}), strict=True))
        for row, style in styles.items():
            paths(axes, [(layers, values[row])], f"step {steps[row]}", **style)
    ticks_at(axes, layers.tolist())
    axes.set_xlabel("layer (0 is the input)")
