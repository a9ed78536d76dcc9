"""Figures of curvature: the largest eigenvalue beside the edge of stability, and the spectrum."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from dlexp.callbacks.edge import edge_of_stability, reason_without_edge
from dlexp.callbacks.figures.steps import set_step_axis
from dlexp.measures.hessian import SpectralDensity, inertia
from dlexp.studies.style import COLOURS, MARKERS, THRESHOLD, look
from dlexp.train.member import Member

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.floating]

# An edge further above the eigenvalues than this is named rather than drawn: it would flatten them.
_EDGE_SHOWN_UP_TO = 4.0
_N_BINS = 80
_DENSITY_DECADES = 7


def draw_lambda_max(member: Member) -> "Figure":
    """Return a figure of the extreme eigenvalues that a member has recorded, and of its training loss."""
    from matplotlib.figure import Figure

    names = ("hessian/lambda_max", "hessian/lambda_min", "train/loss")
    (steps, largest), (at, smallest), (loss_steps, loss) = map(member.recorder.series, names)
    with look():
        figure = Figure(figsize=(6.4, 5.6), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        upper.plot(steps, largest, color=COLOURS[0], label="largest eigenvalue", **_marker(steps))
        if at:
            upper.plot(at, smallest, color=COLOURS[3], ls=":", label="smallest eigenvalue", **_marker(at))
        if reason_without_edge(member) is None:
            edge = [edge_of_stability(member, step) for step in steps]
            _draw_edge(upper, steps, np.asarray(edge), np.asarray(largest))
        upper.set(title="Curvature of the training loss", ylabel="eigenvalue of the Hessian")
        upper.legend(loc="best")
        lower.plot(loss_steps, loss, color=COLOURS[2], **_marker(loss_steps))
        if loss and min(loss) > 0 and max(loss) > 10 * min(loss):
            lower.set_yscale("log")
        lower.set_ylabel(f"training loss\n({member.loss.label})")
        set_step_axis(lower, sorted({*steps, *loss_steps}))
    return figure


def _marker(steps: Sequence[int]) -> dict[str, Any]:
    return {"marker": MARKERS[0], "markersize": 3} if len(steps) <= 60 else {}


def draw_spectrum(eigenvalues: Tensor, *, step: int) -> "Figure":
    """Return a histogram of all eigenvalues (P,), their signs counted in the title."""
    from matplotlib.figure import Figure

    values, counts = np.sort(eigenvalues.cpu().numpy()), inertia(eigenvalues)
    negative, positive = values[: counts.negative], values[counts.negative + counts.zero :]
    # Bins meet at 0, so that none holds both signs.
    width = max(float(values[-1] - values[0]), float(np.abs(values).max()), 1e-30) / _N_BINS
    edges = width * np.arange(min(np.floor(values[0] / width), 0), max(np.ceil(values[-1] / width), 0) + 1)
    with look():
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.subplots()
        for part, colour, hatch, label in (
            (negative, COLOURS[3], "////", "negative"),
            (positive, COLOURS[0], None, "positive"),
        ):
            if len(part):
                axes.hist(part, edges.tolist(), color=colour, hatch=hatch, ec="white", lw=0.3, label=label)
        if counts.zero:
            axes.plot([0, 0], [0.1, counts.zero], color="black", lw=1.2, marker="_", label="zero")
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.6)
        axes.legend(loc="best")
        axes.set(xlabel="eigenvalue of the Hessian of the training loss", ylabel="number of eigenvalues")
        axes.set_title(
            f"Spectrum at step {step}: {counts.negative} negative, {counts.zero} zero, "
            f"{counts.positive} positive eigenvalues"
        )
    return figure


def draw_spectral_density(density: SpectralDensity, *, size: int, step: int) -> "Figure":
    """Return the estimated density of the eigenvalues of ``size`` parameters, after ``step`` steps."""
    from matplotlib.figure import Figure

    grid, values, nodes, weights = (tensor.cpu().numpy() for tensor in density[:4])
    # The sign of what is nearer to zero than the density's own width is not resolved.
    width = density.kernel_width
    below, above = (float(weights[part].sum()) / len(weights) for part in (nodes < -width, nodes > width))
    top = float(values.max())
    with look():
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.subplots()
        visible = np.maximum(values, top * 10.0 ** -(_DENSITY_DECADES + 1))
        axes.plot(grid, visible, color=COLOURS[0])
        axes.fill_between(grid, visible.min(), visible, color=COLOURS[0], alpha=0.2)
        axes.axvline(0, color=THRESHOLD, lw=0.8)
        axes.set_yscale("log")
        axes.set_ylim(top * 10.0**-_DENSITY_DECADES, top * 3)
        axes.set(xlabel="eigenvalue of the Hessian of the training loss", ylabel="density of eigenvalues")
        axes.set_title(
            f"Spectral density at step {step}, {size} parameters, {len(nodes)} probes\n"
            f"{100 * below:.2g} % below {-width:.2g}, {100 * above:.2g} % above {width:.2g}, the rest near 0"
        )
    return figure


def _draw_edge(axes: "Axes", steps: Sequence[int], edge: FloatArray, lambda_max: FloatArray) -> None:
    finite = lambda_max[np.isfinite(lambda_max)]
    top = float(finite.max()) if len(finite) else math.inf
    label = "edge of stability" if edge.min() != edge.max() else f"edge of stability ({edge[0]:.4g})"
    if edge.min() > _EDGE_SHOWN_UP_TO * top:
        axes.plot([], [], color=THRESHOLD, ls="--", label=f"{label}, above")
        return
    limits = axes.get_ylim()
    axes.plot(steps, edge, color=THRESHOLD, ls="--", label=label)
    axes.set_ylim(limits[0], max(1.08 * min(float(edge.max()), _EDGE_SHOWN_UP_TO * top), limits[1]))
