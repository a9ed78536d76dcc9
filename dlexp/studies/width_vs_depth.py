"""With the same number of parameters, when is a deep network better than a wide one?"""

from dlexp.results.claims import Claim, at_least, at_most, between, exactly
from dlexp.results.statistics import ratio, value

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

CLAIMS = [
    Claim(
        name="depth_helps_compositional",
        text="On a composition of simple maps, five hidden layers end with a smaller test loss than one.",
        source="Poggio et al. 2017",
        statistic=ratio(
            of=value("test/loss", {"arm": "compositional", "model.depth": 1}),
            to=value("test/loss", {"arm": "compositional", "model.depth": 5}),
        ),
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
        statistic=ratio(
            of=value("test/loss", {"arm": "radial", "model.depth": 1}),
            to=value("test/loss", {"arm": "radial", "model.depth": 5}),
        ),
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
        statistic=ratio(
            of=value("test/loss", {"arm": "additive", "model.depth": 1}),
            to=value("test/loss", {"arm": "additive", "model.depth": 5}),
        ),
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
        statistic=ratio(
            of=value("test/loss", {"arm": "additive", "model.depth": 1}),
            to=value("test/loss", {"arm": "additive", "model.depth": 5}),
        ),
        region=at_least(1),
        figure="width_vs_depth",
        scope="One target against it is enough; the additive one.",
    ),
    Claim(
        name="deep_tent_is_exact",
        text="Eight layers of two units make the 256 linear pieces of the tent map composed 8 times.",
        source="Telgarsky 2016",
        statistic=value("approximation/linear_pieces", {"arm": "tent_deep", "model.depth": 8}),
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
        statistic=value("test/loss", {"arm": "tent_deep", "model.depth": 8}),
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
            of=value("model/parameters", {"arm": "tent_shallow", "model.depth": 8}),
            to=value("model/parameters", {"arm": "tent_deep", "model.depth": 8}),
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
