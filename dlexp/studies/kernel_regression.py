"""Does a wide network predict what its linearisation predicts, at every step, and is that kernel regression
in the end?

The closed form: f_t = f_0 - K(x, X) K^-1 (I - (I - lr K / n)^t) (f_0 - y), by gradient descent on half the
MSE.
"""

from typing import TYPE_CHECKING

from dlexp.plots import band, diagonal, law, log, paths, ramp, scatter, ticks_at
from dlexp.results.claims import Claim, at_least, at_most, between
from dlexp.results.statistics import difference, slope, value
from dlexp.results.study import figure
from dlexp.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = (
    "Does a wide network predict what its linearisation predicts, at every step, and is that kernel "
    "regression in the end?"
)

SOURCES = [
    "Jacot, Gabriel and Hongler 2018, Neural tangent kernel",
    "Lee et al. 2019, Wide neural networks of any depth evolve as linear models under gradient descent",
    "Arora et al. 2019, On exact computation with an infinitely wide neural net",
]

METRICS = [
    "ntk/linearized_gap",
    "ntk/interpolation_gap",
    "ntk/kernel_regression_gap",
    "train/loss",
    "test/loss",
]

_NETWORKS = {"relu": "ReLU", "erf": "erf"}

CLAIMS = [
    *(
        Claim(
            name=f"{arm}_predicts_as_its_linearization",
            text=(
                "After 200 steps the distance of the test predictions to those of the linearised network "
                f"falls with the width for {network}."
            ),
            source="Lee et al. 2019, theorem 2.1 (upper bound width^-1/2)",
            statistic=slope("ntk/linearized_gap", along="model.width", where={"arm": arm}),
            region=between(-1.1, -0.5),
            figure="distance_over_steps",
            scope=(
                "Distances at 100 test inputs relative to the length of the predictions; widths 16 to 1024, "
                "20 training samples."
            ),
        )
        for arm, network in _NETWORKS.items()
    ),
    Claim(
        name="linearized_descent_is_not_interpolation",
        text=(
            "At 200 steps the linearised network predicts the ReLU network of width 1024 better than the "
            "interpolation it tends to."
        ),
        source="Lee et al. 2019, eq. 8 and 9",
        statistic=difference(
            of=value("ntk/interpolation_gap", {"arm": "relu", "model.width": 1024}),
            minus=value("ntk/linearized_gap", {"arm": "relu", "model.width": 1024}),
        ),
        region=at_least(0),
        figure="distance_over_steps",
        scope=(
            "The dynamics are right before their end, too; gradient descent that is stopped early is a "
            "regularised kernel regression."
        ),
    ),
    Claim(
        name="converged_network_interpolates_by_its_kernel",
        text=(
            "After 1000 steps the distance of the test predictions to kernel interpolation, corrected for "
            "f_0, falls with the width."
        ),
        source="Lee et al. 2019, eq. 10; theorem 2.1",
        statistic=slope("ntk/interpolation_gap", along="model.width", where={"arm": "converged"}),
        region=between(-1.1, -0.4),
        controls=["has_converged"],
        figure="distance_at_convergence",
        scope=(
            "f_0(x) + K(x, X) K^-1 (y - f_0(X)) with the initial kernel of the same network. Slopes up to "
            "-0.4 count as the bound of order width^-1/2."
        ),
    ),
    Claim(
        name="converged_network_is_kernel_regression",
        text=(
            "Often said: a wide trained network is kernel regression with the tangent kernel. The distance "
            "to K(x, X) K^-1 y falls as fast."
        ),
        source="Jacot et al. 2018, sec. 5; Arora et al. 2019, theorem 3.2 (with small initial outputs)",
        statistic=slope("ntk/kernel_regression_gap", along="model.width", where={"arm": "converged"}),
        region=between(-1.1, -0.4),
        controls=["converged_network_interpolates_by_its_kernel"],
        figure="distance_at_convergence",
        scope=(
            "Without f_0. The initial function does not shrink with the width, so neither does the "
            "distance; Arora et al. scale f_0 down to avoid this."
        ),
    ),
    Claim(
        name="has_converged",
        text=(
            "After 1000 steps half the mean squared error of the ReLU networks of width 1024 is below 0.001."
        ),
        source="control",
        statistic=value("train/loss", {"arm": "converged", "model.width": 1024}),
        region=at_most(0.001),
        scope=(
            "A tenth of the noise's variance, 0.01: the training targets are interpolated, noise and all."
        ),
    ),
]

# figures


_WIDTHS = (16, 64, 256, 1024)


@figure(
    title="Distance of a network's predictions to those of its linearisation",
    caption=(
        "Relative distance at 100 test inputs, over the steps of gradient descent, to the network "
        "linearised at initialisation."
    ),
    panels=2,
)
def distance_over_steps(axes: "list[Axes]", table: Table) -> None:
    """The distance to the linearised network over the steps, the smaller the wider the network."""
    for panel, (arm, title) in zip(axes, _NETWORKS.items(), strict=True):
        log(panel)
        for width, colour in zip(_WIDTHS, ramp(len(_WIDTHS)), strict=True):
            runs = table.select({"model.width": width}, arm=arm).histories("ntk/linearized_gap")
            paths(panel, runs, f"width {width}", color=colour)
        panel.set(title=title, xlabel="optimizer step", ylabel="relative distance")


@figure(
    title="What a converged ReLU network predicts, against width",
    caption=(
        "Relative distance at 100 test inputs after 1000 steps: to the kernel interpolation that the "
        "linearised network tends to, and to kernel regression, which leaves the initial function $f_0$ "
        "out."
    ),
)
def distance_at_convergence(axes: "Axes", table: Table) -> None:
    """Two kernel predictors, of which the one that starts at the network's own function is met."""
    log(axes)
    runs = table.select(arm="converged")
    band(axes, runs.group("model.width", "ntk/kernel_regression_gap"), "kernel regression, without $f_0$")
    points = runs.group("model.width", "ntk/interpolation_gap")
    band(axes, points, "kernel interpolation from $f_0$")
    law(axes, -0.5, points)
    ticks_at(axes, points)
    axes.set(xlabel="width (hidden units)", ylabel="relative distance")


@figure(
    title="Test predictions after 1000 steps, network against linearised network",
    caption="Each point is one of 100 test inputs of a seed; on the diagonal both predict the same.",
    size=(5.4, 4.2),
)
def predictions(axes: "Axes", table: Table) -> None:
    """Predictions of the narrowest and the widest network against those of their linearisations."""
    for width in (16, 1024):
        runs = table.select({"model.width": width}, arm="converged")
        x, y = (
            [value for array in runs.arrays(f"ntk/{which}_predictions").values() for value in array.ravel()]
            for which in ("linearized", "network")
        )
        scatter(axes, x, y, f"width {width}", markersize=4)
    diagonal(axes)
    axes.set(xlabel="linearised network's prediction", ylabel="network's prediction")


FIGURES = [distance_over_steps, distance_at_convergence, predictions]
