"""With the same number of parameters, when is a deep network better than a wide one?"""

from typing import TYPE_CHECKING

from dlexp.plots import band, law, log, threshold, ticks_at
from dlexp.results.claims import Claim, at_least, at_most, between, exactly
from dlexp.results.statistics import Value, ratio, value
from dlexp.results.study import figure
from dlexp.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "With the same number of parameters, when is a deep network better than a wide one?"

SOURCES = [
    "Telgarsky 2016, Benefits of depth in neural networks",
    "Eldan & Shamir 2016, The power of depth for feedforward neural networks",
    (
        "Poggio et al. 2017, Why and when can deep - but not shallow - networks avoid the curse of "
        "dimensionality"
    ),
    "Malach & Shalev-Shwartz 2019, Is deeper better only when shallow is good?",
]

METRICS = ["test/unexplained_variance", "model/parameters", "approximation/linear_pieces"]


def _deep(depth: int, arm: str, metric: str = "test/loss") -> Value:
    return value(metric, {"arm": arm, "model.depth": depth})


CLAIMS = [
    Claim(
        name="depth_helps_compositional",
        text="On a composition of simple maps, five hidden layers end with a smaller test loss than one.",
        source="Poggio et al. 2017",
        statistic=ratio(of=_deep(1, "compositional"), to=_deep(5, "compositional")),
        region=at_least(1),
        controls=["width_wins_additive"],
        figure="width_vs_depth",
        scope=(
            "cos(sin(relu(sum of 10 inputs))), standardised, 2000 samples, 2000 parameters, 2000 steps of "
            "Adam with one learning rate for all depths. Without standardising, depth gains about a factor "
            "of 2 instead of 8."
        ),
    ),
    Claim(
        name="depth_helps_radial",
        text="The same holds for a function of the distance from the origin.",
        source="Eldan & Shamir 2016",
        statistic=ratio(of=_deep(1, "radial"), to=_deep(5, "radial")),
        region=at_least(1),
        controls=["width_wins_additive"],
        figure="width_vs_depth",
        scope=(
            "cos(3 |x|) in 4 dimensions, 4000 samples; trained networks of one size, not the theorem's "
            "lower bound."
        ),
    ),
    Claim(
        name="width_wins_additive",
        text="On a sum of functions of one input each, one hidden layer is better than five.",
        source="the control, a target without composition",
        statistic=ratio(of=_deep(1, "additive"), to=_deep(5, "additive")),
        region=at_most(1),
        figure="width_vs_depth",
        scope=(
            "The sum of sin(x_i) over 8 inputs; it shows that depth is not rewarded by the training itself."
        ),
    ),
    Claim(
        name="depth_always_helps",
        text="At the same number of parameters the deeper network is better, whatever the target.",
        source="the popular reading of 'deeper is better'",
        statistic=ratio(of=_deep(1, "additive"), to=_deep(5, "additive")),
        region=at_least(1),
        figure="width_vs_depth",
        scope="One target against it is enough; the additive one.",
    ),
    Claim(
        name="deep_tent_is_exact",
        text="Eight layers of two units make the 256 linear pieces of the tent map composed 8 times.",
        source="Telgarsky 2016",
        statistic=_deep(8, "tent_deep", "approximation/linear_pieces"),
        region=exactly(256),
        controls=["deep_tent_has_no_error"],
        replicates=1,
        figure="tent_map",
        scope="A construction, its pieces counted exactly; nothing is trained.",
    ),
    Claim(
        name="deep_tent_has_no_error",
        text="The constructed network equals the tent map at each of 4097 points.",
        source="Telgarsky 2016",
        statistic=_deep(8, "tent_deep"),
        region=exactly(0),
        replicates=1,
        figure="tent_map",
        scope="On dyadic points in float64, where the arithmetic is exact.",
    ),
    Claim(
        name="one_layer_needs_exponentially_more",
        text="One hidden layer with the same pieces has 15 times as many parameters at a depth of 8.",
        source="Telgarsky 2016: at least 2^k - 1 units for k compositions",
        statistic=ratio(
            of=_deep(8, "tent_shallow", "model/parameters"), to=_deep(8, "tent_deep", "model/parameters")
        ),
        region=at_least(15),
        controls=["deep_tent_is_exact"],
        replicates=1,
        figure="tent_map",
        scope=(
            "256 units where the lower bound is 255; the deep network has 2 more units for each doubling."
        ),
    ),
    Claim(
        name="training_finds_the_tent",
        text=("Trained networks of five layers find a function that a network of 31 parameters represents."),
        source="'a network can represent it', read as 'training finds it'",
        statistic=value(
            "test/unexplained_variance",
            {"arm": "tent_trained", "model.depth": 5, "data.generator.compositions": 5},
        ),
        region=between(0, 0.01),
        figure="tent_map",
        scope=(
            "Adam, 2000 steps from the default initialisation, 1025 samples of the tent map composed 5 times."
        ),
    ),
]

# figures


@figure(
    title="Test error at 2000 parameters against depth",
    caption=(
        "Mean squared error over the variance of the targets. The wider the network, the fewer its "
        "layers. Depth helps where the target is a composition or a function of the norm, and costs where"
        " it is a sum."
    ),
)
def width_vs_depth(axes: "Axes", table: Table) -> None:
    """The test error against the depth for a composition, a radial function and a sum."""
    log(axes, "y")
    targets = {
        "compositional": "a composition, cos(sin(relu(Σx)))",
        "radial": "a radial function, cos(3 |x|)",
        "additive": "a sum, Σ sin x",
    }
    for arm, label in targets.items():
        points = table.select(arm=arm).group("model.depth", "test/unexplained_variance")
        band(axes, points, label, control=arm == "additive")
        ticks_at(axes, points)
    axes.set(xlabel="depth (hidden layers)", ylabel="share of the test targets' variance not explained")


@figure(
    title="The tent map composed with itself",
    caption=(
        "Left: parameters of two constructions that equal it everywhere, by their linear pieces. Right: "
        "trained networks of 2000 parameters find the map of few pieces and nothing of that of many, "
        "wherever it could be represented."
    ),
    panels=2,
)
def tent_map(axes: "list[Axes]", table: Table) -> None:
    """What depth can represent with few parameters, and what training finds of it."""
    left, right = axes
    log(left)
    for arm, label in {"tent_shallow": "one hidden layer", "tent_deep": "layers of two units"}.items():
        points = table.select(arm=arm).group("approximation/linear_pieces", "model/parameters")
        band(left, points, label)
        if arm == "tent_shallow":
            law(left, 1, points, "as many as pieces")
        ticks_at(left, points)
    for depth, label in {1: "trained, 1 layer", 5: "trained, 5 layers"}.items():
        runs = table.select({"model.depth": depth}, arm="tent_trained")
        band(right, runs.group("data.generator.compositions", "test/unexplained_variance"), label)
    threshold(right, "constructed", y=0)
    ticks_at(right, [1, 3, 5])
    left.set(xlabel="linear pieces", ylabel="parameters")
    right.set(xlabel="compositions $k$ ($2^k$ pieces)", ylabel="share of variance not explained")


FIGURES = [width_vs_depth, tent_map]
