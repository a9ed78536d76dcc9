"""Figures of curvature: the largest eigenvalue beside the edge of stability, and the spectrum."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlexp.plots.axes import log, log_if_wide, step_axis
from dlexp.plots.lines import LARGEST, drawable, paths, placeable
from dlexp.plots.marks import threshold
from dlexp.plots.page import finish, new_page
from dlexp.plots.style import BLACK, COLOURS, DASHED, THRESHOLD, line_style, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

# An edge further above the eigenvalues than this is named rather than drawn: it would flatten them.
_EDGE_SHOWN_UP_TO = 4.0
_N_BINS = 80
_DENSITY_DECADES = 7


def draw_lambda_max(
    steps: Sequence[int],
    *,
    lambda_max: Sequence[float],
    lambda_min: Sequence[float],
    edge: Sequence[float],
    loss: tuple[Sequence[int], Sequence[float]],
    loss_label: str,
) -> "Figure":
    """Return a figure of the extreme eigenvalues over the steps and below it the training loss.

    Args:
        steps: the optimizer steps (T,).
        lambda_max, lambda_min: extreme eigenvalues (T,); the smallest are all NaN where they were not found.
        edge: the lambda_max at the edge of stability (T,); NaN where there is none.
        loss: the training loss, steps of its own and values.
        loss_label: which loss that is.

    >>> values = {"lambda_max": [1, 4], "lambda_min": [np.nan] * 2, "edge": [5, 5]}
    >>> figure = draw_lambda_max([0, 10], **values, loss=([0, 5, 10], [1, 0.7, 0.5]), loss_label="mse")
    >>> figure.axes[0].get_legend_handles_labels()[1]
    ['largest eigenvalue', 'edge of stability (5)']
    """
    with look():
        figure, (upper, lower) = new_page((2, 1), (6.4, 5.0))
        paths(upper, [(steps, lambda_max)], "largest eigenvalue")
        if not np.isnan(lambda_min).all():
            paths(upper, [(steps, lambda_min)], "smallest eigenvalue")
        _draw_edge(upper, steps, placeable(edge), placeable(lambda_max))
        paths(log_if_wide(lower, loss[1]), [loss])
        upper.set_ylabel("eigenvalue of the Hessian")
        lower.set_ylabel(f"training loss ({loss_label})")
        for axes in (upper, lower):
            step_axis(axes, sorted({*steps, *loss[0]}))
        return finish(figure, "Curvature of the training loss")


def _draw_edge(axes: "Axes", steps: Sequence[int], edge: Array, lambda_max: Array) -> None:
    if np.isnan(edge).all():
        return
    finite = lambda_max[np.isfinite(lambda_max)]
    top = float(finite.max()) if len(finite) else math.inf
    lowest, highest = np.nanmin(edge), np.nanmax(edge)
    label = "edge of stability" if lowest != highest else f"edge of stability ({highest:.4g})"
    if lowest > _EDGE_SHOWN_UP_TO * top:
        steps, edge, label = steps[:1], edge[:1] * np.nan, f"{label}, above"
    shown = np.minimum(edge, _EDGE_SHOWN_UP_TO * top)
    axes.plot(steps, np.where(edge > shown, np.nan, edge), color=THRESHOLD, linestyle=DASHED, label=label)


def draw_spectrum(eigenvalues: Array, counts: Sequence[int], *, step: int) -> "Figure":
    """Return a histogram of all eigenvalues (P,), their signs counted in the title.

    ``counts``: how many are negative, zero and positive.

    >>> draw_spectrum(np.array([-1.0, 0.0, 2.0]), (1, 1, 1), step=5).texts[0].get_text()
    'Spectrum at step 5: 1 negative, 1 zero, 1 positive eigenvalues'
    """
    n_negative, n_zero, n_positive = counts
    n_shown = n_negative - int((eigenvalues.astype(float) < -LARGEST).sum())
    values = np.sort(placeable(eigenvalues))  # what is left out comes last
    values = values[np.isfinite(values)]
    negative, positive = values[:n_shown], values[n_shown + n_zero :]
    # Bins meet at 0, so that none holds both signs.
    low, high = min([0.0, *values[:1]]), max([0.0, *values[-1:]])
    width = max(high - low, 1e-30) / _N_BINS
    edges = width * np.arange(np.floor(low / width), np.ceil(high / width) + 1)
    with look():
        figure, (axes,) = new_page(size=(6.4, 3.6))
        for part, colour, hatch, label in (
            (negative, COLOURS[4], "////", "negative"),
            (positive, COLOURS[0], None, "positive"),
        ):
            if len(part):
                axes.hist(part, edges.tolist(), color=colour, hatch=hatch, ec="white", lw=0.3, label=label)
        if n_zero:
            axes.plot([0, 0], [0.6, n_zero], color=BLACK, lw=1.2, marker="_", label="zero")
        drawable(axes, eigenvalues)
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.6, top=None if len(values) else 10)
        axes.set(xlabel="eigenvalue of the Hessian of the training loss", ylabel="number of eigenvalues")
        signs = f"{n_negative} negative, {n_zero} zero, {n_positive} positive eigenvalues"
        return finish(figure, f"Spectrum at step {step}: {signs}")


def draw_spectral_density(density: Sequence[Any], *, size: int, step: int) -> "Figure":
    """Return the estimated density of the eigenvalues of ``size`` parameters, after ``step`` steps.

    ``density``: the grid (m,), the density on it (m,), nodes and weights (probes, k) of the quadrature and
    the width of its kernel.

    >>> grid = np.linspace(-1, 1, 5)
    >>> estimate = (grid, np.exp(-(grid**2)), np.array([[0.0]]), np.array([[1.0]]), 0.1)
    >>> draw_spectral_density(estimate, size=17, step=5).texts[0].get_text()
    'Spectral density at step 5, 17 parameters, 1 probes'
    """
    grid, values, nodes, weights = (placeable(_array(part)) for part in density[:4])
    width = float(density[4])
    # The sign of what is nearer to zero than the density's own width is not resolved.
    below, above = (
        float(np.nansum(weights[part])) / len(weights) for part in (nodes < -width, nodes > width)
    )
    top = max(float(np.nanmax(values, initial=0)), 1 / LARGEST)
    with look():
        figure, (axes,) = new_page(size=(6.4, 3.6))
        log(axes, "y")
        visible = np.maximum(values, top * 10.0 ** -(_DENSITY_DECADES + 1))
        colour = line_style(axes, "")["color"]
        axes.plot(grid, visible, color=colour, label="")
        axes.fill_between(grid, top * 10.0 ** -(_DENSITY_DECADES + 1), visible, color=colour, alpha=0.2)
        threshold(axes, x=0.0, linestyle="-", linewidth=0.8)
        axes.set_ylim(top * 10.0**-_DENSITY_DECADES, top * 3)
        axes.set(xlabel="eigenvalue of the Hessian of the training loss", ylabel="density of eigenvalues")
        shares = (
            f"{100 * below:.2g} % below {-width:.2g}, {100 * above:.2g} % above {width:.2g}, the rest near 0."
        )
        title = f"Spectral density at step {step}, {size} parameters, {len(nodes)} probes"
        return finish(figure, title, [shares])


def _array(values: Any) -> Array:
    """Return an array, or a tensor on any device, as an array."""
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)
