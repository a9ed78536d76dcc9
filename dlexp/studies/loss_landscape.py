"""What does the training loss look like around a trained network, and what of the picture is the network's
own?

Five inputs, one hidden layer of 20 units, full-batch Adam, no noise; 1-D, 2-D and 3-D, and the way there.
"""

from typing import TYPE_CHECKING

from dlexp.plots import Levels, bars, colour_bar, log, paths, surface
from dlexp.plots import trajectory as draw_trajectory
from dlexp.results.claims import Claim, at_least, at_most, between
from dlexp.results.statistics import Value, difference, ratio, value
from dlexp.results.study import figure
from dlexp.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = (
    "What does the training loss look like around a trained network, and what of the picture is the "
    "network's own?"
)

SOURCES = [
    (
        "Goodfellow, Vinyals, Saxe 2015: Qualitatively characterizing neural network optimization "
        "problems. ICLR."
    ),
    "Dinh, Pascanu, S. Bengio, Y. Bengio 2017: Sharp minima can generalize for deep nets. ICML.",
    "Li, Xu, Taylor, Studer, Goldstein 2018: Visualizing the loss landscape of neural nets. NeurIPS.",
    (
        "Antognini, Sohl-Dickstein 2018: PCA of high dimensional random walks with comparison to neural "
        "network training. NeurIPS."
    ),
]

METRICS = [
    "train/loss",
    "landscape/negative_second_differences_initial",
    "landscape/negative_second_differences",
    "landscape/rescaling_change_raw",
    "landscape/rescaling_change_filter",
    "landscape/explained_variance_1",
    "landscape/random_walk_variance_1",
]


def _random(metric: str) -> Value:
    return value(metric, {"arm": "random"})


CLAIMS = [
    Claim(
        name="centre_is_the_training_loss",
        text="The loss in the centre of the plane is the training loss.",
        source="exact",
        statistic=ratio(of=_random("landscape/centre_loss"), to=_random("train/loss")),
        region=between(0.99999, 1.00001),
        figure="loss_landscape",
        scope="A check of the grid, which holds its centre exactly.",
    ),
    Claim(
        name="centre_is_the_lowest_point",
        text="No point of the plane is lower than its centre.",
        source="Li et al. 2018, sec. 4",
        statistic=ratio(of=_random("landscape/plane_minimum"), to=_random("landscape/centre_loss")),
        region=between(0.99999, 1),
        controls=["centre_is_the_training_loss"],
        figure="loss_landscape",
        scope=(
            "On 21 x 21 points of one random plane a network; two directions out of 141 cannot show that it "
            "is a minimum."
        ),
    ),
    Claim(
        name="trained_lines_are_convex",
        text=(
            "On random lines through the trained network at most 1 % of the loss's second differences are "
            "negative."
        ),
        source="Li et al. 2018, sec. 6; Goodfellow et al. 2015",
        statistic=_random("landscape/negative_second_differences"),
        region=at_most(0.01),
        controls=["centre_is_the_training_loss"],
        figure="lines",
        scope=(
            "Twenty filter-normalised directions a network, as far as the weights are long; other "
            "directions may curve down."
        ),
    ),
    Claim(
        name="training_ends_where_it_is_more_convex",
        text="The share of negative second differences is larger around the initial network.",
        source="Li et al. 2018, sec. 6",
        statistic=difference(
            of=_random("landscape/negative_second_differences_initial"),
            minus=_random("landscape/negative_second_differences"),
        ),
        region=at_least(0),
        figure="lines",
        scope="The same random draws at both, scaled to the weights there.",
    ),
    Claim(
        name="raw_surface_depends_on_scale",
        text=(
            "Multiplying the first layer by 10 and dividing the second by it, the same function, changes "
            "the surface along Gaussian directions by more than its maximum."
        ),
        source="Dinh et al. 2017; Li et al. 2018, sec. 4",
        statistic=_random("landscape/rescaling_change_raw"),
        region=at_least(1),
        figure="rescaling",
        scope="One factor and one extent of the plane; how large the change is depends on both.",
    ),
    Claim(
        name="filter_normalised_surface_does_not",
        text="The same rescaling leaves the filter-normalised surface as it is.",
        source="Li et al. 2018, sec. 4",
        statistic=_random("landscape/rescaling_change_filter"),
        region=at_most(1e-05),
        controls=["raw_surface_depends_on_scale"],
        figure="rescaling",
        scope=(
            "Whole layers; rescaling single units changes filter-normalised surfaces too, unless the units "
            "are balanced first."
        ),
    ),
    Claim(
        name="trajectory_is_no_random_walk",
        text=(
            "The first component of the trajectory explains more of its variance than that of a random walk."
        ),
        source="Li et al. 2018, sec. 7; Antognini and Sohl-Dickstein 2018",
        statistic=ratio(
            of=value("landscape/explained_variance_1", {"arm": "trajectory"}),
            to=value("landscape/random_walk_variance_1", {"arm": "trajectory"}),
        ),
        region=at_least(1),
        figure="trajectory",
        scope=(
            "The walk has as many points, in high dimension, and already explains 61 %: two components that "
            "hold most of the variance are no sign of a low-dimensional trajectory by themselves."
        ),
    ),
]

# figures


@figure(
    title="Training loss on a random plane through the network",
    caption=(
        "The plane of two filter-normalised random directions, of the first seed; its centre is the "
        "network. Left at the start, right trained, on one colour scale."
    ),
    panels=2,
)
def loss_landscape(axes: "list[Axes]", table: Table) -> None:
    """The loss around the network before and after training."""
    runs = table.select(arm="random")
    names = {"at the start": "landscape/plane_losses_initial", "trained": "landscape/plane_losses"}
    planes = [runs.paths(name, "landscape/plane_coordinates", row=())[:1] for name in names.values()]
    levels = Levels([values for plane in planes for _, values in plane])
    for panel, plane, title in zip(axes, planes, names, strict=True):
        for at, values in plane:
            surface(panel, at, values, levels)
        panel.set(title=title, xlabel="first direction", ylabel="second direction")
    if planes[-1]:
        colour_bar(axes[-1], "training loss", levels, axes)


@figure(
    title="Training loss on random lines through the network",
    caption=(
        "One filter-normalised direction for each seed (faint), their mean and interval. Distance 1 is as"
        " far as the weights are long."
    ),
)
def lines(axes: "Axes", table: Table) -> None:
    """The loss along random directions before and after training."""
    log(axes, "y")
    runs = table.select(arm="random")
    for row, label in {0: "at the start", -1: "trained"}.items():
        paths(axes, runs.paths("landscape/line_losses", "landscape/line_coordinates", (row, 0)), label)
    axes.set(xlabel="distance along the direction", ylabel="training loss")


@figure(
    title="The trajectory of training, on the plane of its first two principal components",
    caption=(
        "The network every 50 steps, of the first seed. Components of a random walk would already explain"
        " 61 % and 15 % of its variance; those of the trajectory explain more."
    ),
    size=(5.4, 4.2),
)
def trajectory(axes: "Axes", table: Table) -> None:
    """The path of the weights over the loss, seen along the directions in which they move most."""
    runs = table.select(arm="trajectory")
    for at, values in runs.paths("landscape/plane_losses", "landscape/plane_coordinates", ())[:1]:
        levels = Levels([values])
        surface(axes, at, values, levels)
        colour_bar(axes, "training loss", levels)
    for points in list(runs.arrays("landscape/trajectory").values())[:1]:
        draw_trajectory(axes, points)
    axes.set(xlabel="first component", ylabel="second component")


@figure(
    title="Change of the surface when layers are rescaled by 10",
    caption=(
        "The same function with the first layer times 10 and the second over 10. Along Gaussian "
        "directions the surface changes by many times its maximum, along filter-normalised ones by "
        "rounding error."
    ),
)
def rescaling(axes: "Axes", table: Table) -> None:
    """How much the picture of one function depends on how its weights are written."""
    log(axes, "y")
    runs = table.select(arm="random").done
    metrics = {"Gaussian directions": "raw", "filter-normalised": "filter"}
    changes = {label: runs.column(f"landscape/rescaling_change_{name}") for label, name in metrics.items()}
    bars(axes, changes)
    axes.set(ylabel="largest change / highest loss", ylim=(1e-8, 100))


FIGURES = [loss_landscape, lines, trajectory, rescaling]
