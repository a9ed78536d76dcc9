"""Does gradient descent sharpen the loss until the largest eigenvalue of its Hessian is 2 / lr, and stay
there?

Does gradient descent sharpen the loss until lambda_max = 2 / lr, and stay there? Seeds are paired: at each
seed all learning rates share data and initial weights.
"""

from typing import TYPE_CHECKING

from dlexp.plots import band, log, paths, threshold, ticks_at
from dlexp.results.claims import Claim, at_most, between
from dlexp.results.statistics import slope, value
from dlexp.results.study import figure
from dlexp.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = (
    "Does gradient descent sharpen the loss until the largest eigenvalue of its Hessian is 2 / lr, "
    "and stay there?"
)

SOURCES = [
    (
        "Cohen, Kaur, Li, Kolter and Talwalkar 2021, Gradient descent on neural networks typically "
        "occurs at the edge of stability"
    ),
]

METRICS = ["sharpness/relative_to_edge_late_mean", "hessian/lambda_max", "train/loss"]

_NETWORKS = {"relu": "ReLU", "tanh": "tanh"}
_RATES = (0.1, 0.2, 0.4)
_SCOPES = {
    "relu": (
        "One task and one architecture of 3151 parameters. The eigenvalue oscillates, so the mean of "
        "the last 10 of 41 measurements is judged."
    ),
    "tanh": (
        "2000 steps; tanh networks that are not held back sharpen to between 17 and 23, so not all of "
        "them reach 2 / 0.1 = 20."
    ),
}

CLAIMS = [
    *(
        Claim(
            name=f"{arm}_at_the_edge_with_lr_{rate}".replace(".", "_"),
            text=f"A {network} network trained with learning rate {rate} ends at lr * lambda_max / 2 = 1.",
            source="Cohen et al. 2021, sec. 3.2",
            statistic=value("sharpness/relative_to_edge_late_mean", {"arm": arm, "optimizer.lr": rate}),
            region=between(0.97, 1.06),
            controls=[f"{arm}_below_the_edge_with_a_small_lr"],
            figure="edge_of_stability",
            scope=_SCOPES[arm] if rate == _RATES[0] else "As for learning rate 0.1.",
        )
        for arm, network in _NETWORKS.items()
        for rate in _RATES
    ),
    *(
        Claim(
            name=f"{arm}_curvature_is_inverse_to_lr",
            text=(
                f"Over learning rates 0.1 to 0.4 the final lambda_max of {network} networks falls as 1 / lr."
            ),
            source="Cohen et al. 2021, sec. 3.2",
            statistic=slope(
                "hessian/lambda_max", along="optimizer.lr", where={"arm": arm, "optimizer.lr": [*_RATES]}
            ),
            region=between(-1.1, -0.9),
            controls=[f"{arm}_below_the_edge_with_a_small_lr"],
            figure="curvature_and_learning_rate",
            scope=(
                "Three rates within a factor of 4; the last measurement alone, which oscillates by some per "
                "cent."
            ),
        )
        for arm, network in _NETWORKS.items()
    ),
    *(
        Claim(
            name=f"{arm}_below_the_edge_with_a_small_lr",
            text=f"With learning rate 0.02 lr * lambda_max / 2 of a {network} network stays below 0.9.",
            source="control",
            statistic=value("sharpness/relative_to_edge_late_mean", {"arm": arm, "optimizer.lr": 0.02}),
            region=at_most(0.9),
            figure="edge_of_stability",
            scope=(
                "The measure can be away from 1, so the edge is not built into it. At 0.05 one ReLU network "
                "of ten seeds arrived in 2000 steps."
            ),
        )
        for arm, network in _NETWORKS.items()
    ),
]

# figures


@figure(
    title="Curvature of the training loss under gradient descent",
    caption=(
        "Largest eigenvalue of the Hessian over the steps. The horizontal lines are the edges of "
        "stability, 2 / learning rate; that of the control is 100."
    ),
    panels=2,
)
def edge_of_stability(axes: "list[Axes]", table: Table) -> None:
    """The largest eigenvalue rises to the edge of each learning rate and stays there."""
    for panel, (arm, title) in zip(axes, _NETWORKS.items(), strict=True):
        for rate in _RATES:
            runs = table.select({"optimizer.lr": rate}, arm=arm).histories("hessian/lambda_max")
            paths(panel, runs, f"learning rate {rate}")
            threshold(panel, f"2 / {rate}", y=2 / rate, color=panel.lines[-1].get_color())
        control = table.select({"optimizer.lr": 0.02}, arm=arm).histories("hessian/lambda_max")
        paths(panel, control, "learning rate 0.02", control=True)
        panel.set(title=title, xlabel="optimizer step", ylabel="largest Hessian eigenvalue")


@figure(
    title="Where gradient descent ends, relative to the edge of stability",
    caption=(
        "Learning rate times the largest eigenvalue over 2, mean of the last 10 measurements; at 1 "
        "gradient descent on a quadratic would become unstable."
    ),
)
def curvature_and_learning_rate(axes: "Axes", table: Table) -> None:
    """The sharpness at the end in units of the edge, against the learning rate."""
    log(axes, "x")
    for arm, label in _NETWORKS.items():
        points = table.select(arm=arm).group("optimizer.lr", "sharpness/relative_to_edge_late_mean")
        band(axes, points, label)
    ticks_at(axes, [0.02, 0.1, 0.2, 0.4])
    threshold(axes, "edge of stability", y=1)
    axes.set(xlabel="learning rate", ylabel="largest eigenvalue / edge")


FIGURES = [edge_of_stability, curvature_and_learning_rate]
