"""Of all weights that fit the samples exactly, which does training find - those of least norm?

Of all weights that fit 40 samples with 100 inputs exactly, which does training find: those of least norm?
"""

from typing import TYPE_CHECKING

from dlexp.plots import bars, log, paths, threshold
from dlexp.results.claims import Claim, at_least, at_most, between
from dlexp.results.statistics import ratio, value
from dlexp.results.study import figure
from dlexp.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Of all weights that fit the samples exactly, which does training find - those of least norm?"

SOURCES = [
    "Gunasekar et al. 2018, Characterizing implicit bias in terms of optimization geometry",
    "Wilson et al. 2017, The marginal value of adaptive gradient methods in machine learning",
    "Zhang et al. 2017, Understanding deep learning requires rethinking generalization",
]

METRICS = [
    "train/loss",
    "test/loss",
    "min_norm/relative_distance",
    "min_norm/norm_ratio",
    "min_norm/distance_to_limit",
]

CLAIMS = [
    Claim(
        name="gradient_descent_finds_least_norm",
        text="From zero, full-batch gradient descent ends at the interpolating weights of least norm.",
        source="Zhang et al. 2017; Gunasekar et al. 2018",
        statistic=value("min_norm/relative_distance", {"arm": "gradient_descent"}),
        region=between(0, 1e-12),
        controls=["random_start_does_not"],
        figure="implicit_bias",
        scope=(
            "Distance to the pseudoinverse solution over its norm, in float64; least squares on a linear "
            "model only."
        ),
    ),
    Claim(
        name="sgd_finds_least_norm",
        text="Stochastic gradient descent, batches of 8, ends there too.",
        source="Zhang et al. 2017",
        statistic=value("min_norm/relative_distance", {"arm": "sgd"}),
        region=between(0, 1e-09),
        figure="implicit_bias",
        scope=(
            "All samples can be fitted, so that the noise of the batches dies out; its steps span the same "
            "samples."
        ),
    ),
    Claim(
        name="random_start_does_not",
        text="From random weights, gradient descent ends away from the least norm.",
        source="Gunasekar et al. 2018",
        statistic=value("min_norm/relative_distance", {"arm": "random_start"}),
        region=at_least(0.1),
        figure="implicit_bias",
        scope="The control, so that a small distance means something.",
    ),
    Claim(
        name="random_start_keeps_the_rest",
        text=(
            "From random weights it ends at the least-norm weights plus the part of the start that no "
            "sample sees."
        ),
        source="Gunasekar et al. 2018",
        statistic=value("min_norm/distance_to_limit", {"arm": "random_start"}),
        region=between(0, 1e-12),
        figure="implicit_bias",
        scope="An absolute distance in float64, with weights of norm about 1.",
    ),
    Claim(
        name="adam_finds_least_norm",
        text="Adam ends at weights of least norm.",
        source="'optimizers prefer simple solutions', taken for any optimizer",
        statistic=value("min_norm/norm_ratio", {"arm": "adam"}),
        region=between(1, 1.01),
        figure="implicit_bias",
        scope="The norm of the weights over the least possible; the training loss is 0 all the same.",
    ),
    Claim(
        name="smaller_steps_bring_adam_there",
        text="Adam with a tenth of the learning rate ends nearer to the least norm.",
        source="a step-size effect, as a possible explanation",
        statistic=ratio(
            of=value("min_norm/relative_distance", {"arm": "adam_slow"}),
            to=value("min_norm/relative_distance", {"arm": "adam"}),
        ),
        region=at_most(1),
        figure="implicit_bias",
        scope="Two learning rates, 0.01 and 0.001, with cosine decay.",
    ),
    Claim(
        name="least_norm_generalises_better",
        text="The least-norm weights have a smaller test loss than Adam's.",
        source="Wilson et al. 2017",
        statistic=ratio(
            of=value("test/loss", {"arm": "gradient_descent"}), to=value("test/loss", {"arm": "adam"})
        ),
        region=at_most(1),
        figure="test_loss",
        scope=(
            "For inputs and a teacher without a preferred direction; Adam can win where few inputs matter."
        ),
    ),
]

# figures


@figure(
    title="Distance to the interpolating weights of least norm",
    caption=(
        "From zero, gradient descent and SGD reach the solution of least norm to the last digit; from a "
        "random start the part that no sample sees stays, and Adam leaves the span of the samples."
    ),
)
def implicit_bias(axes: "Axes", table: Table) -> None:
    """The relative distance to the solution of least norm over the steps, down to rounding."""
    log(axes)
    arms = {
        "gradient_descent": "gradient descent",
        "sgd": "SGD, batch 8",
        "adam": "Adam, rate 0.01",
        "adam_slow": "Adam, rate 0.001",
    }
    for arm, label in arms.items():
        paths(axes, table.select(arm=arm).histories("min_norm/relative_distance"), label)
    random = table.select(arm="random_start").histories("min_norm/relative_distance")
    paths(axes, random, "gradient descent, random start", control=True)
    threshold(axes, "float64's rounding", y=2**-53)
    axes.set(xlabel="optimizer step", ylabel="distance / least norm", ylim=(1e-17, 10))


@figure(
    title="Where training ends",
    caption=(
        "All of these fit the training set exactly; only those from zero by gradient steps have the least"
        " norm, and they have the smallest test loss."
    ),
    panels=2,
)
def test_loss(axes: "list[Axes]", table: Table) -> None:
    """The norm and the test loss that each way of training ends with."""
    arms = {
        "gradient_descent": "gradient\ndescent",
        "sgd": "SGD",
        "random_start": "random\nstart",
        "adam": "Adam\n0.01",
        "adam_slow": "Adam\n0.001",
    }
    names = {"min_norm/norm_ratio": "norm / least norm", "test/loss": "test loss"}
    for panel, (metric, name) in zip(axes, names.items(), strict=True):
        bars(panel, {label: table.select(arm=arm).done.column(metric) for arm, label in arms.items()})
        panel.set(ylabel=name)


FIGURES = [implicit_bias, test_loss]
