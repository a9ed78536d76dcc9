"""What do the layers of a trained network represent that those of an untrained one do not?"""

from typing import TYPE_CHECKING

from dlexp.plots import paths, threshold, ticks_at
from dlexp.results.claims import Claim, at_least, at_most, between
from dlexp.results.statistics import Value, difference, ratio, value
from dlexp.results.study import figure
from dlexp.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "What do the layers of a trained network represent that those of an untrained one do not?"

SOURCES = [
    "Alain, Bengio 2017: Understanding intermediate layers using linear classifier probes. ICLR workshop.",
    (
        "Ansuini, Laio, Macke, Zoccolan 2019: Intrinsic dimension of data representations in deep "
        "neural networks. NeurIPS."
    ),
    "Kornblith, Norouzi, Lee, Hinton 2019: Similarity of neural network representations revisited. ICML.",
    "Papyan, Han, Donoho 2020: Prevalence of neural collapse. PNAS.",
]

METRICS = [
    "geometry/probe_error",
    "geometry/pca_dimension",
    "geometry/twonn_dimension",
    "geometry/cka",
    "test/error",
]


def _layer(number: int, measure: str, arm: str) -> Value:
    return value(f"geometry/{measure}/layer_{number}", {"arm": arm})


CLAIMS = [
    Claim(
        name="trained_layers_linearise_parity",
        text="On parity training lowers the error of a linear probe on the last layer by at least 0.3.",
        source="Alain and Bengio 2017",
        statistic=difference(
            of=_layer(4, "probe_error", "parity_untrained"), minus=_layer(4, "probe_error", "parity_trained")
        ),
        region=at_least(0.3),
        controls=["probe_fails_on_parity_input", "same_input"],
        figure="probes",
        scope="Says what a linear map can read off the layer, not how the network uses it.",
    ),
    Claim(
        name="separability_grows_with_depth",
        text="In the trained network the probe on the last layer errs less than that on the first.",
        source="Alain and Bengio 2017, sec. 4",
        statistic=difference(
            of=_layer(1, "probe_error", "parity_trained"), minus=_layer(4, "probe_error", "parity_trained")
        ),
        region=at_least(0),
        controls=["probe_fails_on_parity_input"],
        figure="probes",
        scope="Compares two layers; between the second and the last little changes.",
    ),
    Claim(
        name="dimension_shrinks",
        text="Training more than halves the number of principal components of the last layer on parity.",
        source="Ansuini et al. 2019; Recanatesi et al. 2019",
        statistic=ratio(
            of=_layer(4, "pca_dimension", "parity_trained"), to=_layer(4, "pca_dimension", "parity_untrained")
        ),
        region=at_most(0.5),
        controls=["same_input"],
        figure="dimensions",
        scope="A linear dimension (components that hold 95 % of the variance) of 1000 test inputs.",
    ),
    Claim(
        name="intrinsic_dimension_shrinks",
        text="So does the intrinsic dimension that two nearest neighbours show.",
        source="Ansuini et al. 2019",
        statistic=ratio(
            of=_layer(4, "twonn_dimension", "parity_trained"),
            to=_layer(4, "twonn_dimension", "parity_untrained"),
        ),
        region=at_most(0.5),
        controls=["same_input"],
        figure="dimensions",
        scope=(
            "TwoNN underestimates dimensions of about ten and more; the ratio of two such values is what "
            "counts here."
        ),
    ),
    Claim(
        name="later_layers_move_farther",
        text=("The last layer moves farther from its initial representation (debiased CKA) than the first."),
        source="Kornblith et al. 2019",
        statistic=difference(of=_layer(1, "cka", "parity_trained"), minus=_layer(4, "cka", "parity_trained")),
        region=at_least(0),
        figure="dimensions",
        scope=(
            "On parity with this learning rate and width; very wide networks in the NTK parametrisation "
            "hardly move at all."
        ),
    ),
    Claim(
        name="classes_separate_with_depth",
        text=(
            "On 17 Gaussian classes the ratio of variance between to within classes grows from the input to "
            "the last layer."
        ),
        source="Papyan, Han and Donoho 2020",
        statistic=ratio(
            of=_layer(4, "class_separation", "classes_trained"),
            to=_layer(0, "class_separation", "classes_trained"),
        ),
        region=at_least(1),
        controls=["same_input"],
        figure="probes",
        scope=(
            "A ratio of variances on the test set; it says nothing of a collapse, which needs training far "
            "beyond."
        ),
    ),
    Claim(
        name="depth_helps_a_probe_on_classes",
        text="There a linear probe on the last layer errs less than one on the input.",
        source="popular reading of Alain and Bengio 2017",
        statistic=difference(
            of=_layer(0, "probe_error", "classes_trained"), minus=_layer(4, "probe_error", "classes_trained")
        ),
        region=at_least(0.005),
        figure="probes",
        scope=(
            "The best classifier of equal Gaussians is linear in the input, so that no layer has anything "
            "to gain."
        ),
    ),
    Claim(
        name="probe_fails_on_parity_input",
        text="A linear probe on the input of parity is at chance.",
        source="by construction (each input is independent of the label)",
        statistic=_layer(0, "probe_error", "parity_trained"),
        region=between(0.45, 0.55),
        scope="Shows that the task needs the hidden layers.",
    ),
    Claim(
        name="same_input",
        text="Trained and untrained networks are measured on the same inputs.",
        source="by construction",
        statistic=difference(
            of=_layer(0, "probe_error", "parity_untrained"), minus=_layer(0, "probe_error", "parity_trained")
        ),
        region=between(-1e-09, 1e-09),
        scope="The input's probe does not depend on training.",
    ),
]

# figures


def _by_layer(axes: "Axes", table: Table, task: str, name: str) -> None:
    """Draw a measure of each layer of the trained networks and of the untrained ones."""
    for state in ("trained", "untrained"):
        runs = table.select(arm=f"{task}_{state}").paths(f"geometry/{name}", "geometry/layers")
        paths(axes, runs, state, control=state == "untrained")
        ticks_at(axes, [layer for layers, _ in runs for layer in layers])
    axes.set(xlabel="layer (0 is the input)")


@figure(
    title="Error of a linear probe on each layer",
    caption=(
        "Layer 0 is the input, layer k the output of the k-th activation. Parity (left) is hidden from "
        "any linear map of the input; training makes it linear within two layers. For 17 Gaussian classes"
        " (right) the input is as good as any layer."
    ),
    panels=2,
)
def probes(axes: "list[Axes]", table: Table) -> None:
    """Where in the network the classes can be told apart by a linear map."""
    titles = {"parity": "parity of three signs", "classes": "17 Gaussian classes"}
    for panel, (task, title) in zip(axes, titles.items(), strict=True):
        _by_layer(panel, table, task, "probe_error")
        panel.set(title=title, ylabel="test error of a linear probe")
    threshold(axes[0], "chance", y=0.5)


@figure(
    title="Dimensions of each layer on parity, and its similarity to the initial layer",
    caption=(
        "Left: principal components that hold 95 % of the variance. Middle: intrinsic dimension from two "
        "nearest neighbours. Right: debiased linear CKA of each layer with itself at initialisation."
    ),
    panels=(1, 3),
)
def dimensions(axes: "list[Axes]", table: Table) -> None:
    """What training does to the representation of each layer."""
    names = {
        "pca_dimension": ("principal components", "components for 95 % of the variance"),
        "twonn_dimension": ("nearest neighbours", "intrinsic dimension"),
        "cka": ("similarity to initialisation", "debiased linear CKA"),
    }
    for panel, (name, (title, label)) in zip(axes, names.items(), strict=True):
        _by_layer(panel, table, "parity", name)
        panel.set(title=title, ylabel=label)


FIGURES = [probes, dimensions]
