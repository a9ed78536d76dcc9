"""Figure of the representations' geometry: each measure by layer, before and after, and CKA heat maps."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dlexp.studies.style import COLOURS, DASHES, MARKERS, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

FloatArray = npt.NDArray[np.float64]

# Title and y label of each measure's panel.
PANELS = {
    "probe_error": ("Linear probe, test set", "error"),
    "pca_dimension": ("Principal components", "number of components"),
    "participation_ratio": ("Participation ratio", "effective dimension"),
    "twonn_dimension": ("Two nearest neighbours", "intrinsic dimension"),
    "class_separation": ("Class separation", "variance between / within"),
    "cka": ("Similarity to initialisation", "debiased CKA"),
}
COLUMNS = 4
LARGEST_WITH_NUMBERS = 8  # layers up to which the heat maps' numbers can be read


def draw_geometry(
    steps: Sequence[int],
    values: Mapping[str, FloatArray],
    cka_layers: Mapping[int, FloatArray],
    *,
    labels: Mapping[str, str],
) -> "Figure":
    """Return a figure with a panel for each measure, the first and the last step measured as lines.

    Args:
        steps: the optimizer steps, T >= 1, at which was measured.
        values: for each measure, by a key of ``PANELS``, its values (T, layers); NaN and infinite values are
            left out.
        cka_layers: by step, the CKA of all layers with each other (layers, layers): a heat map each.
        labels: by measure, y labels that say more than those of ``PANELS``.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    n_panels = len(values) + len(cka_layers)
    n_columns = min(COLUMNS, n_panels)
    n_rows = math.ceil(n_panels / n_columns)
    with look():
        figure = Figure(
            figsize=(3.3 * n_columns + 0.6, 2.9 * n_rows + 0.9),
            layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08),
        )
        panels = iter(figure.subplots(n_rows, n_columns, squeeze=False).flat)
        for measure, array in values.items():
            axes = next(panels)
            _draw_lines(axes, steps, array)
            title, label = PANELS[measure]
            axes.set(title=title, ylabel=labels.get(measure, label))
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        maps = []
        for step, matrix in cka_layers.items():
            axes = next(panels)
            maps.append(_draw_heat_map(axes, matrix))
            axes.set_title(f"Layers with each other, step {step}")
        if maps:
            figure.colorbar(maps[-1], ax=maps[-1].axes, label="debiased CKA")
        for axes in panels:
            axes.set_axis_off()
        figure.suptitle("Geometry of the representations")
    return figure


def _draw_lines(axes: "Axes", steps: Sequence[int], values: FloatArray) -> None:
    finite = np.where(np.isfinite(values), values, np.nan)
    layers = np.arange(finite.shape[1])
    for style, index in enumerate(dict.fromkeys((0, len(steps) - 1))):
        axes.plot(
            layers,
            finite[index],
            color=COLOURS[style],
            marker=MARKERS[style],
            # Hollow and larger first: seen also where nothing has changed.
            markersize=5 if style else 8,
            markerfacecolor=COLOURS[style] if style else "none",
            linestyle=DASHES[1 - style],
            label=f"step {steps[index]}",
            clip_on=False,
            zorder=3,
        )
    drawn = finite[[0, -1]]
    if np.isnan(drawn).all():
        axes.set_yticks([])
        axes.text(0.5, 0.5, "not defined", transform=axes.transAxes, ha="center")
    elif np.nanmin(drawn) >= 0:
        axes.set_ylim(0, max(1.12 * np.nanmax(drawn), 1e-12))
    axes.set_xticks(layers)
    axes.set_xlabel("layer (0: input)")


def _draw_heat_map(axes: "Axes", matrix: FloatArray) -> "AxesImage":
    axes.grid(visible=False)
    image = axes.imshow(matrix, vmin=0, vmax=1, cmap="cividis", origin="lower")
    ticks = range(len(matrix))
    axes.set(xlabel="layer (0: input)", ylabel="layer", xticks=ticks, yticks=ticks)
    if len(matrix) > LARGEST_WITH_NUMBERS:
        return image
    for (row, column), value in np.ndenumerate(matrix):
        text = f"{value:.2f}" if np.isfinite(value) else "–"
        colour = "white" if value < 0.6 else "black"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    return image
