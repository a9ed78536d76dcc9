"""What does the training loss look like around a trained network, and what of the picture is the network's
own?

Five inputs, one hidden layer of 20 units, full-batch Adam, no noise; 1-D, 2-D and 3-D, and the way there.
"""

from dlexp.results.claims import Claim, at_least, at_most, between
from dlexp.results.statistics import difference, ratio, value

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

CLAIMS = [
    Claim(
        name="centre_is_the_training_loss",
        text="The loss in the centre of the plane is the training loss.",
        source="exact",
        statistic=ratio(
            of=value("landscape/centre_loss", {"arm": "random"}), to=value("train/loss", {"arm": "random"})
        ),
        region=between(0.99999, 1.00001),
        figure="loss_landscape",
        scope="A check of the grid, which holds its centre exactly.",
    ),
    Claim(
        name="centre_is_the_lowest_point",
        text="No point of the plane is lower than its centre.",
        source="Li et al. 2018, sec. 4",
        statistic=ratio(
            of=value("landscape/plane_minimum", {"arm": "random"}),
            to=value("landscape/centre_loss", {"arm": "random"}),
        ),
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
        statistic=value("landscape/negative_second_differences", {"arm": "random"}),
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
            of=value("landscape/negative_second_differences_initial", {"arm": "random"}),
            minus=value("landscape/negative_second_differences", {"arm": "random"}),
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
        statistic=value("landscape/rescaling_change_raw", {"arm": "random"}),
        region=at_least(1),
        figure="rescaling",
        scope="One factor and one extent of the plane; how large the change is depends on both.",
    ),
    Claim(
        name="filter_normalised_surface_does_not",
        text="The same rescaling leaves the filter-normalised surface as it is.",
        source="Li et al. 2018, sec. 4",
        statistic=value("landscape/rescaling_change_filter", {"arm": "random"}),
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
