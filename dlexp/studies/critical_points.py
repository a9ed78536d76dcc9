"""Are critical points of high loss saddles with many descent directions, and are their signs those of random
matrices?

Searches for points where the gradient vanishes start along Adam runs, moved by noise (Dauphin et al. 2014).
"""

from typing import TYPE_CHECKING

from dlexp.plots import closed_form, log, paths, ramp, scatter, ticks_at
from dlexp.results.claims import Claim, at_least, at_most, between
from dlexp.results.statistics import Value, ratio, value
from dlexp.results.study import figure
from dlexp.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = (
    "Are critical points of high loss saddles with many descent directions, and are their signs "
    "those of random matrices?"
)

SOURCES = [
    (
        "Dauphin et al. 2014, Identifying and attacking the saddle point problem in high-dimensional "
        "non-convex optimization"
    ),
    "Bray and Dean 2007, Statistics of critical points of Gaussian fields on large-dimensional spaces",
    "Dean and Majumdar 2006, Large deviations of extreme eigenvalues of random matrices",
    "Frye et al. 2021, Critical point-finding methods reveal gradient-flat regions of deep network losses",
    "Sagun et al. 2017, Empirical analysis of the Hessian of over-parametrized neural networks",
]

METRICS = [
    "critical_points/rank_correlation",
    "critical_points/converged_fraction",
    "critical_points/degenerate_fraction",
    "critical_points/distinct",
    "critical_points/goe_positive_definite_d4",
]


def _goe_share(dimension: int) -> Value:
    """The share of positive definite random matrices of a dimension."""
    return value(f"critical_points/goe_positive_definite_d{dimension}", {"arm": "weight_decay"})


CLAIMS = [
    Claim(
        name="index_rises_with_loss",
        text=(
            "The loss of a critical point rises with its index, the number of descent directions; "
            "Spearman's correlation is above 0.5."
        ),
        source="Dauphin et al. 2014, sec. 4 and fig. 1; Bray and Dean 2007",
        statistic=value("critical_points/rank_correlation", {"arm": "weight_decay"}),
        region=at_least(0.5),
        controls=["weight_decay_leaves_no_degenerate_points"],
        figure="index_and_loss",
        scope=(
            "Among the distinct points (equal index and loss count once) that 40 searches a run end at. "
            "They are a sample that depends on the starts, not a census, so their counts cannot tell "
            "whether saddles vastly outnumber minima."
        ),
    ),
    Claim(
        name="without_weight_decay_most_points_are_degenerate",
        text=(
            "Without weight decay most critical points found are degenerate, so that their index does not "
            "decide what they are."
        ),
        source="Sagun et al. 2017; Frye et al. 2021",
        statistic=value("critical_points/degenerate_fraction", {"arm": "no_weight_decay"}),
        region=at_least(0.5),
        figure="index_and_loss",
        scope=(
            "A zero is an eigenvalue below 1.5e-8 of the largest; units that a point does not use leave "
            "their weights free."
        ),
    ),
    Claim(
        name="weight_decay_leaves_no_degenerate_points",
        text="With weight decay at most one critical point in twenty is degenerate.",
        source="control",
        statistic=value("critical_points/degenerate_fraction", {"arm": "weight_decay"}),
        region=at_most(0.05),
        scope="The index is well defined where no eigenvalue is zero.",
    ),
    *(
        Claim(
            name=f"positive_definite_share_in_dimension_{dimension}",
            text=(
                f"The share of positive definite symmetric random matrices (GOE) in dimension {dimension} is "
                f"{formula}."
            ),
            source="closed form",
            statistic=ratio(of=_goe_share(dimension), to=share),
            region=between(0.97, 1.03),
            figure="random_matrices",
            scope="Checks the sampler of random matrices against what is known.",
        )
        for dimension, formula, share in (
            (2, "(2 - sqrt 2) / 4", 0.1464466),
            (3, "(pi - 2 sqrt 2) / (4 pi)", 0.0249209),
        )
    ),
    Claim(
        name="eigenvalues_have_independent_signs",
        text=(
            "Popular argument: a critical point in d dimensions is a minimum with probability 2^-d, as d "
            "signs would be; here d = 4."
        ),
        source="popular account of Dauphin et al. 2014",
        statistic=ratio(of=_goe_share(4), to=0.0625),
        region=between(0.9, 1.1),
        controls=["positive_definite_share_in_dimension_2", "positive_definite_share_in_dimension_3"],
        figure="random_matrices",
        scope=(
            "Eigenvalues repel each other, so all signs are alike far less often, as exp(-d^2 log(3) / 4). "
            "Hessians of networks are no such matrices either; neither number is a share of minima among a "
            "network's critical points."
        ),
    ),
]

# figures


@figure(
    title="Loss against index of critical points",
    caption=(
        "The distinct critical points that 40 searches of each run found, a colour a run. The index is "
        "the number of negative eigenvalues of the objective's Hessian, of 17; the loss is the mean "
        "squared error without weight decay."
    ),
    panels=2,
)
def index_and_loss(axes: "list[Axes]", table: Table) -> None:
    """Every critical point's loss against its index, run by run."""
    axes[1].sharex(axes[0])
    axes[1].sharey(axes[0])
    titles = {"weight_decay": "weight decay 0.001", "no_weight_decay": "no weight decay, all degenerate"}
    for panel, (arm, title) in zip(axes, titles.items(), strict=True):
        runs = table.select(arm=arm).paths("critical_points/loss", "critical_points/index")
        for (index, loss), colour in zip(runs, ramp(len(runs)), strict=True):
            scatter(panel, index, loss, color=colour, markersize=4)
        ticks_at(panel, range(7))
        panel.set(title=title, xlabel="index (negative eigenvalues)", ylabel="training loss")


@figure(
    title="How often a symmetric random matrix is positive definite",
    caption=(
        "Share of 500 000 matrices of the Gaussian orthogonal ensemble a seed, beside what independent "
        "signs of the eigenvalues would give."
    ),
)
def random_matrices(axes: "Axes", table: Table) -> None:
    """The share of positive definite matrices against their dimension."""
    runs = table.select(arm="weight_decay")
    log(axes, "y")
    paths(
        axes,
        runs.paths("critical_points/goe_positive_definite", "critical_points/dimensions"),
        "random matrices (GOE)",
    )
    for dimensions, share in runs.paths("critical_points/independent_signs", "critical_points/dimensions")[
        :1
    ]:
        closed_form(axes, dimensions, share, "independent signs, $2^{-d}$")
        ticks_at(axes, dimensions)
    axes.set(xlabel="dimension $d$", ylabel="share of positive definite matrices")


FIGURES = [index_and_loss, random_matrices]
