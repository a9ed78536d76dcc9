"""Does a wide network predict what its linearisation predicts, at every step, and is that kernel regression
in the end?

The closed form: f_t = f_0 - K(x, X) K^-1 (I - (I - lr K / n)^t) (f_0 - y), by gradient descent on half the
MSE.
"""

from dlexp.results.claims import Claim, at_least, at_most, between
from dlexp.results.statistics import difference, slope, value

QUESTION = (
    "Does a wide network predict what its linearisation predicts, at every step, and is that kernel "
    "regression in the end?"
)

SOURCES = [
    "Jacot, Gabriel and Hongler 2018, Neural tangent kernel",
    "Lee et al. 2019, Wide neural networks of any depth evolve as linear models under gradient descent",
    "Arora et al. 2019, On exact computation with an infinitely wide neural net",
]

METRICS = [
    "ntk/linearized_gap",
    "ntk/interpolation_gap",
    "ntk/kernel_regression_gap",
    "train/loss",
    "test/loss",
]

CLAIMS = [
    Claim(
        name="relu_predicts_as_its_linearization",
        text=(
            "After 200 steps the distance of the test predictions to those of the linearised network falls "
            "with the width for ReLU."
        ),
        source="Lee et al. 2019, theorem 2.1 (upper bound width^-1/2)",
        statistic=slope("ntk/linearized_gap", along="model.width", where={"arm": "relu"}),
        region=between(-1.1, -0.5),
        figure="distance_over_steps",
        scope=(
            "Distances at 100 test inputs relative to the length of the predictions; widths 16 to 1024, 20 "
            "training samples."
        ),
    ),
    Claim(
        name="erf_predicts_as_its_linearization",
        text=(
            "After 200 steps the distance of the test predictions to those of the linearised network falls "
            "with the width for erf."
        ),
        source="Lee et al. 2019, theorem 2.1 (upper bound width^-1/2)",
        statistic=slope("ntk/linearized_gap", along="model.width", where={"arm": "erf"}),
        region=between(-1.1, -0.5),
        figure="distance_over_steps",
        scope=(
            "Distances at 100 test inputs relative to the length of the predictions; widths 16 to 1024, 20 "
            "training samples."
        ),
    ),
    Claim(
        name="linearized_descent_is_not_interpolation",
        text=(
            "At 200 steps the linearised network predicts the ReLU network of width 1024 better than the "
            "interpolation it tends to."
        ),
        source="Lee et al. 2019, eq. 8 and 9",
        statistic=difference(
            of=value("ntk/interpolation_gap", {"arm": "relu", "model.width": 1024}),
            minus=value("ntk/linearized_gap", {"arm": "relu", "model.width": 1024}),
        ),
        region=at_least(0),
        figure="distance_over_steps",
        scope=(
            "The dynamics are right before their end, too; gradient descent that is stopped early is a "
            "regularised kernel regression."
        ),
    ),
    Claim(
        name="converged_network_interpolates_by_its_kernel",
        text=(
            "After 1000 steps the distance of the test predictions to kernel interpolation, corrected for "
            "f_0, falls with the width."
        ),
        source="Lee et al. 2019, eq. 10; theorem 2.1",
        statistic=slope("ntk/interpolation_gap", along="model.width", where={"arm": "converged"}),
        region=between(-1.1, -0.4),
        controls=["has_converged"],
        figure="distance_at_convergence",
        scope=(
            "f_0(x) + K(x, X) K^-1 (y - f_0(X)) with the initial kernel of the same network. Slopes up to "
            "-0.4 count as the bound of order width^-1/2."
        ),
    ),
    Claim(
        name="converged_network_is_kernel_regression",
        text=(
            "Often said: a wide trained network is kernel regression with the tangent kernel. The distance "
            "to K(x, X) K^-1 y falls as fast."
        ),
        source="Jacot et al. 2018, sec. 5; Arora et al. 2019, theorem 3.2 (with small initial outputs)",
        statistic=slope("ntk/kernel_regression_gap", along="model.width", where={"arm": "converged"}),
        region=between(-1.1, -0.4),
        controls=["converged_network_interpolates_by_its_kernel"],
        figure="distance_at_convergence",
        scope=(
            "Without f_0. The initial function does not shrink with the width, so neither does the "
            "distance; Arora et al. scale f_0 down to avoid this."
        ),
    ),
    Claim(
        name="has_converged",
        text=(
            "After 1000 steps half the mean squared error of the ReLU networks of width 1024 is below 0.001."
        ),
        source="control",
        statistic=value("train/loss", {"arm": "converged", "model.width": 1024}),
        region=at_most(0.001),
        scope=(
            "A tenth of the noise's variance, 0.01: the training targets are interpolated, noise and all."
        ),
    ),
]

# figures
