"""How fast do sums of bumps approach a function, and is it true of every bump that more are better?"""

from typing import TYPE_CHECKING

from dlexp.plots import band, law, log, threshold, ticks_at
from dlexp.results.claims import Claim, at_most, between
from dlexp.results.statistics import rank_correlation, ratio, slope, value
from dlexp.results.study import figure
from dlexp.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "How fast do sums of bumps approach a function, and is it true of every bump that more are better?"

SOURCES = [
    "Cybenko 1989, Approximation by superpositions of a sigmoidal function",
    "Hornik, Stinchcombe & White 1989, Multilayer feedforward networks are universal approximators",
    "Yarotsky 2017, Error bounds for approximations with deep ReLU networks",
]

METRICS = ["test/loss", "model/parameters"]

CLAIMS = [
    Claim(
        name="more_sigmoid_bumps_are_better",
        text="The notebook's sum of sigmoid bumps comes nearer to the function with every bump.",
        source="the notebook that this project grew from",
        statistic=rank_correlation("test/loss", along="model.width", where={"arm": "notebook_sigmoid"}),
        region=between(-1, -0.99),
        replicates=1,
        figure="universal_approximation",
        scope=(
            "This construction alone, from 5 to 200 bumps; the theorem itself is not in doubt, see "
            "sigmoid_boxes_rate."
        ),
    ),
    Claim(
        name="sigmoid_bumps_tend_to_twice",
        text=(
            "With 200 of them its error is that of twice the function, the mean square of the function "
            "itself."
        ),
        source="the bumps sum to 2 (n - 1) / n",
        statistic=ratio(of=value("test/loss", {"arm": "notebook_sigmoid", "model.width": 200}), to=0.29997),
        region=between(0.9, 1.1),
        replicates=1,
        figure="universal_approximation",
        scope="Why more bumps do not help; 2 / n wide and 2 / (n - 1) apart, they overlap at any number.",
    ),
    Claim(
        name="sigmoid_boxes_rate",
        text=(
            "Sigmoid boxes as wide as their spacing approach it, the squared error falling with the square "
            "of their number."
        ),
        source="Cybenko 1989; piecewise constant approximation",
        statistic=slope(
            "test/loss", along="model.width", where={"arm": "boxes", "model.width": [20, 50, 100, 200]}
        ),
        region=between(-2.2, -1.8),
        replicates=1,
        figure="universal_approximation",
        scope=(
            "One smooth function of one variable, steps ten times steeper than the boxes are wide. From 20 "
            "boxes on, chosen after a first fit from 5 on gave -2.46: fewer boxes do not resolve the "
            "function."
        ),
    ),
    Claim(
        name="hats_rate",
        text="ReLU hats approach it with the fourth power of their number.",
        source="linear interpolation, error below h^2 max|f''| / 8",
        statistic=slope(
            "test/loss", along="model.width", where={"arm": "hats", "model.width": [20, 50, 100, 200]}
        ),
        region=between(-4.2, -3.8),
        replicates=1,
        figure="universal_approximation",
        scope=(
            "For a function with a bounded second derivative, three ReLUs a hat. From 20 hats on; from 5 on "
            "the slope is -4.24."
        ),
    ),
    Claim(
        name="cost_grows_with_dimension",
        text="Products of hats with 9 nodes along each axis have the same error in 4 dimensions as in 1.",
        source="the curse of dimension, of this construction",
        statistic=ratio(
            of=value("test/loss", {"arm": "dimension", "data.input_dim": 4}),
            to=value("test/loss", {"arm": "dimension", "data.input_dim": 1}),
        ),
        region=between(0.5, 2),
        replicates=1,
        figure="dimension",
        scope=(
            "So the bumps for one accuracy are 9, 81, 729 and 6561. This is the construction's cost, not a "
            "lower bound - the function varies along one direction, which a network could learn."
        ),
    ),
    Claim(
        name="training_finds_the_construction",
        text="A trained network of 100 ReLUs is as near as 100 hats are guaranteed to be.",
        source="'a network can represent it', read as 'training finds it'",
        # (h^2 max|f''| / 8)^2 with h = 2 / 99 and max|f''| = 25.4
        statistic=ratio(of=value("test/loss", {"arm": "trained", "model.width": 100}), to=1.68e-6),
        region=at_most(1),
        figure="universal_approximation",
        scope="Adam, 2000 steps from the default initialisation; 100 hats have three times as many ReLUs.",
    ),
]

# figures


@figure(
    title="Approximating sin(5x) exp(-x²) on [-1, 1]",
    caption=(
        "Mean squared error on 1000 points. Left, built networks: hats and boxes fall at the rates of the"
        " theory; the notebook's sigmoid bumps overlap and tend to twice the function. Right, trained "
        "networks with as many ReLUs as the hats are, which have three each."
    ),
    panels=2,
)
def universal_approximation(axes: "list[Axes]", table: Table) -> None:
    """The error of constructions, and of training, against the number of their units."""
    left, right = axes
    right.sharey(left)
    built = {
        "hats": "ReLU hats",
        "boxes": "sigmoid boxes",
        "notebook_relu": "notebook's ReLU bumps",
        "notebook_sigmoid": "notebook's sigmoid bumps",
    }
    for panel in axes:
        log(panel)
        panel.set(ylabel="mean squared error")
    points = {arm: table.select(arm=arm).group("model.width", "test/loss") for arm in (*built, "trained")}
    for arm, label in built.items():
        band(left, points[arm], label)
    band(right, points["hats"], built["hats"])
    band(right, points["trained"], "trained ReLU networks")
    law(left, -4, points["hats"], "theory")
    law(left, -2, points["boxes"], "theory")
    threshold(left, "predicting 0", y=0.29997)
    ticks_at(left, points["hats"])
    ticks_at(right, points["hats"])
    left.set(title="built", xlabel="bumps")
    right.set(title="trained", xlabel="hats, or hidden units")


@figure(
    title="What one accuracy costs in more dimensions",
    caption=(
        "Hats on a grid of 9 nodes along each axis, for sin(3 Σx / √d). The error stays, the number of "
        "bumps is 9^d."
    ),
    panels=2,
)
def dimension(axes: "list[Axes]", table: Table) -> None:
    """The number of bumps and the error against the dimension of the input."""
    left, right = axes
    log(left, "y")
    runs = table.select(arm="dimension")
    for panel, metric in ((left, "model/parameters"), (right, "test/loss")):
        points = runs.group("data.input_dim", metric)
        band(panel, points)
        ticks_at(panel, points)
        panel.set(xlabel="input dimension")
    left.set(ylabel="bumps")
    right.set(ylabel="mean squared error")
    threshold(right, "no error", y=0)


FIGURES = [universal_approximation, dimension]
