"""Does a network hold a sparse subnetwork that trains as well as the whole, and does it need its initial
weights?

Pruned by magnitude layer by layer (the readout at half the rate, biases kept), rewound to initialisation.
"""

from typing import TYPE_CHECKING

from dlexp.plots import log, paths, threshold
from dlexp.results.claims import Claim, at_least, at_most, between
from dlexp.results.statistics import Value, difference, ratio, value
from dlexp.results.study import figure
from dlexp.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = (
    "Does a network hold a sparse subnetwork that trains as well as the whole, and does it need its "
    "initial weights?"
)

SOURCES = [
    "Frankle, Carbin 2019: The lottery ticket hypothesis. ICLR.",
    (
        "Frankle, Dziugaite, Roy, Carbin 2020: Linear mode connectivity and the lottery ticket "
        "hypothesis. ICML."
    ),
    "Zhou, Lan, Liu, Yosinski 2019: Deconstructing lottery tickets. NeurIPS.",
]

METRICS = ["pruning/density", "pruning/test_error", "pruning/test_loss"]


def _digits(measure: str, cycle: int, control: str = "none") -> Value:
    where = {"arm": "digits", "callbacks.pruning.control": control}
    return value(f"pruning/{measure}/round_{cycle}", where)


def _regression(cycle: int, control: str = "none") -> Value:
    where = {"arm": "regression", "callbacks.pruning.control": control}
    return value(f"pruning/test_loss/round_{cycle}", where)


CLAIMS = [
    Claim(
        name="sparse_ticket_matches_dense",
        text=(
            "On digits a ticket with 15 % of the weights errs at most one percentage point more than the "
            "dense network."
        ),
        source="Frankle and Carbin 2019, sec. 2",
        statistic=difference(of=_digits("test_error", 4), minus=_digits("test_error", 0)),
        region=at_most(0.01),
        controls=["same_dense_network"],
        figure="lottery_ticket",
        scope="Says that such a network exists and trains; finding it took four trainings of larger ones.",
    ),
    Claim(
        name="ticket_beats_random_mask",
        text="At 6 % of the weights the ticket beats a random mask of the same density on digits.",
        source="Frankle and Carbin 2019, fig. 1",
        statistic=difference(of=_digits("test_error", 6, "random"), minus=_digits("test_error", 6)),
        region=at_least(0),
        controls=["same_dense_network", "same_density"],
        figure="lottery_ticket",
        scope=(
            "Both masks keep as many weights of each layer; at a quarter of the weights and more the two "
            "hardly differ."
        ),
    ),
    Claim(
        name="initial_weights_matter_on_digits",
        text="At 6 % of the weights the ticket beats its own mask on another initialisation on digits.",
        source="Frankle and Carbin 2019, sec. 2",
        statistic=difference(of=_digits("test_error", 6, "reinitialize"), minus=_digits("test_error", 6)),
        region=at_least(0),
        controls=["same_dense_network", "same_density"],
        figure="lottery_ticket",
        scope="One data set and small network; the regression below shows that it is no general law.",
    ),
    Claim(
        name="signs_matter_on_digits",
        text=("At 6 % of the weights the ticket beats its own initial weights with random signs on digits."),
        source="Zhou et al. 2019 (the signs of initial weights)",
        statistic=difference(of=_digits("test_error", 6, "random_signs"), minus=_digits("test_error", 6)),
        region=at_least(0),
        controls=["same_dense_network", "same_density"],
        figure="lottery_ticket",
        scope=(
            "Shows that keeping the magnitudes alone is not enough; it does not test whether the signs "
            "alone are."
        ),
    ),
    Claim(
        name="ticket_beats_dense_in_regression",
        text=(
            "On sin(x0 + x1 + x2) the ticket with 7 % of the weights has a smaller test loss than the dense "
            "network."
        ),
        source="Frankle and Carbin 2019, sec. 1 (sparse networks generalise better)",
        statistic=ratio(of=_regression(3), to=_regression(0)),
        region=at_most(1),
        figure="lottery_ticket",
        scope="Three of twenty inputs matter here, and pruning finds them; a dense target need not gain.",
    ),
    Claim(
        name="ticket_beats_random_mask_in_regression",
        text="There the ticket beats a random mask of the same density.",
        source="Frankle and Carbin 2019, fig. 1",
        statistic=ratio(of=_regression(3, "random"), to=_regression(3)),
        region=at_least(1),
        figure="lottery_ticket",
        scope="The same number of weights of each layer, at other places.",
    ),
    Claim(
        name="initial_weights_matter_in_regression",
        text="There the ticket's initial weights are needed, by at least a tenth of the test loss.",
        source="popular reading of Frankle and Carbin 2019",
        statistic=ratio(of=_regression(3, "reinitialize"), to=_regression(3)),
        region=at_least(1.1),
        figure="lottery_ticket",
        scope=(
            "Where the mask alone tells which inputs matter, any initialisation of it trains; see the "
            "digits for the contrary."
        ),
    ),
    Claim(
        name="same_density",
        text="Ticket and random mask keep the same share of the weights.",
        source="by construction",
        statistic=difference(of=_digits("density", 6, "random"), minus=_digits("density", 6)),
        region=between(-1e-09, 1e-09),
        scope="Without it a comparison of the two would be one of sizes.",
    ),
    Claim(
        name="same_dense_network",
        text="The first, dense cycle is the same with and without a control.",
        source="by construction",
        statistic=difference(of=_digits("test_error", 0, "random"), minus=_digits("test_error", 0)),
        region=between(-0.005, 0.005),
        scope="Up to rounding, which differs between groups of jobs.",
    ),
]

# figures


@figure(
    title="Lottery tickets: test error and loss against the share of weights kept",
    caption=(
        "Left: digits, 64-75-75-10. Right: sin(x0 + x1 + x2) in 20 dimensions, 20-50-50-1. From left to "
        "right more weights are kept; the rightmost point is the dense network, which all share."
    ),
    panels=2,
)
def lottery_ticket(axes: "list[Axes]", table: Table) -> None:
    """The ticket and its controls, pruned round by round."""
    controls = {
        "none": "ticket",
        "reinitialize": "ticket's mask, other initial weights",
        "random_signs": "ticket's mask, random signs",
        "random": "random mask",
    }
    panels = {
        "digits": ("digits", "pruning/test_error", "test error"),
        "regression": ("sin(x₀ + x₁ + x₂)", "pruning/test_loss", "test loss"),
    }
    for panel, (arm, (title, name, label)) in zip(axes, panels.items(), strict=True):
        log(panel)
        for control, legend in controls.items():
            runs = table.select({"callbacks.pruning.control": control}, arm=arm)
            paths(panel, runs.paths(name, "pruning/density"), legend, control=control == "random")
        panel.set(title=title, xlabel="share of weights kept", ylabel=label)
    threshold(axes[1], "noise of the test targets", y=0.04)


FIGURES = [lottery_ticket]
