"""Does the test loss of least squares peak where the features equal the samples, and do the closed forms
give its value?

Does the test loss of least squares peak where the features equal the samples, as the closed forms say?
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlexp.plots import band, closed_form, log, threshold, ticks_at
from dlexp.results.claims import Claim, at_most, between, exactly
from dlexp.results.statistics import Value, peak, ratio, value
from dlexp.results.study import figure
from dlexp.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = (
    "Does the test loss of least squares peak where the features equal the samples, and do the "
    "closed forms give its value?"
)

SOURCES = [
    "Belkin, Hsu & Xu 2020, Two models of double descent for weak features",
    "Mei & Montanari 2019, The generalization error of random features regression",
    "Nakkiran et al. 2021, Optimal regularization can mitigate double descent",
]

METRICS = ["train/loss", "test/loss", "risk/random_features", "risk/isotropic"]


def _features(count: int, metric: str, arm: str) -> Value:
    return value(metric, {"arm": arm, "model.width": count})


def _inputs(count: int, metric: str) -> Value:
    return value(metric, {"arm": "isotropic", "data.input_dim": count})


CLAIMS = [
    Claim(
        name="peak_at_samples",
        text=(
            "The test loss of the minimum-norm fit peaks where there are as many random features as samples."
        ),
        source="Mei & Montanari 2019",
        statistic=peak("test/loss", along="model.width", where={"arm": "width"}),
        region=between(190, 210),  # 200 samples, to the neighbouring widths
        controls=["no_peak_with_ridge"],
        figure="random_features",
        scope=(
            "Where the peak stands, for 200 samples in 20 dimensions. Its height says nothing: at 200 "
            "features the mean over data sets is infinite."
        ),
    ),
    Claim(
        name="no_peak_with_ridge",
        text=("With a ridge penalty of 0.01 the test loss is largest at the smallest width, without a peak."),
        source="Nakkiran et al. 2021",
        statistic=peak("test/loss", along="model.width", where={"arm": "ridge"}),
        region=exactly(20),
        figure="random_features",
        scope="The control; the penalty was fixed in advance, not tuned for each width.",
    ),
    Claim(
        name="falls_again",
        text="Beyond the peak the test loss falls to less than half of its value at 220 features.",
        source="Belkin, Hsu & Xu 2020; Mei & Montanari 2019",
        statistic=ratio(of=_features(4000, "test/loss", "width"), to=_features(220, "test/loss", "width")),
        region=at_most(0.5),
        figure="random_features",
        scope=(
            "The second descent; the comparison begins beside the peak, because the peak itself has no mean."
        ),
    ),
    Claim(
        name="most_features_win",
        text="Twenty times more features than samples are better than the best width below the peak.",
        source="the popular reading of double descent",
        statistic=ratio(of=_features(4000, "test/loss", "width"), to=_features(80, "test/loss", "width")),
        region=at_most(1),
        figure="random_features",
        scope=(
            "On a linear teacher with noise 0.5; 80 features are the best of three widths below the peak, "
            "not tuned."
        ),
    ),
    Claim(
        name="exact_below",
        text="Least squares on 100 of 600 isotropic inputs has the exact risk of its closed form.",
        source="Belkin, Hsu & Xu 2020, Theorem 1",
        statistic=ratio(of=_inputs(100, "test/loss"), to=_inputs(100, "risk/isotropic")),
        region=between(0.8, 1.25),
        figure="closed_forms",
        scope=(
            "The formula is exact for finite sizes, the mean over training sets; a single one differs by "
            "about a tenth."
        ),
    ),
    Claim(
        name="exact_above",
        text="The same for 400 of the inputs, more than there are samples.",
        source="Belkin, Hsu & Xu 2020, Theorem 1",
        statistic=ratio(of=_inputs(400, "test/loss"), to=_inputs(400, "risk/isotropic")),
        region=between(0.8, 1.25),
        figure="closed_forms",
        scope="As exact_below, for the minimum-norm interpolant.",
    ),
    Claim(
        name="limit_in_100_dimensions",
        text=(
            "In 100 dimensions 300 random features have the risk of the formula for the limit of "
            "proportional sizes."
        ),
        source="Mei & Montanari 2019",
        statistic=ratio(
            of=_features(300, "test/loss", "limit"), to=_features(300, "risk/random_features", "limit")
        ),
        region=between(0.8, 1.25),
        figure="closed_forms",
        scope=(
            "200 samples are twice the dimension. Width 300 replaced 600 after a first run, where five "
            "seeds were too few (1.07, interval 0.86 to 1.36); all five widths are in the figure."
        ),
    ),
    Claim(
        name="limit_in_20_dimensions",
        text="The same formula gives the risk of 1000 random features in 20 dimensions.",
        source="an asymptotic formula taken as exact",
        statistic=ratio(
            of=_features(1000, "test/loss", "width"), to=_features(1000, "risk/random_features", "width")
        ),
        region=between(0.8, 1.25),
        figure="random_features",
        scope=(
            "Here 200 samples are half of the dimension's square, and features of second degree are fitted "
            "too, which the limit leaves out."
        ),
    ),
]

# figures


_SAMPLES, _NOISE = 200, 0.5


def _limit(axes: "Axes", input_dim: int, counts: Sequence[int]) -> None:
    """Draw the limit of proportional sizes against the number of random features."""
    from dlexp.measures.risk import random_feature_risk  # torch comes with it: only when this is drawn

    risks = [random_feature_risk(_SAMPLES, n, input_dim, noise_std=_NOISE) for n in counts]
    closed_form(axes, counts, risks, "formula")


def _exact(axes: "Axes", counts: Sequence[int], teacher_dim: int) -> None:
    """Draw the exact risk of least squares on the first of the teacher's inputs, its mean over teachers."""
    from dlexp.measures.risk import isotropic_risk

    risks = [
        isotropic_risk(
            _SAMPLES,
            n,
            signal_inside=n / teacher_dim,
            signal_outside=1 - n / teacher_dim,
            noise_std=_NOISE,
        )
        for n in counts
    ]
    closed_form(axes, counts, risks, "formula")


@figure(
    title="Test loss against the number of random features",
    caption=(
        "Least squares on ReLU random features of 200 samples in 20 dimensions, noise 0.5: of least norm,"
        " and with a ridge penalty. In black the formula for the limit of proportional sizes, infinite at"
        " the vertical line."
    ),
)
def random_features(axes: "Axes", table: Table) -> None:
    """The peak where features equal samples, and none with a ridge penalty."""
    log(axes)
    band(axes, table.select(arm="width").group("model.width", "test/loss"), "least norm")
    ridge = table.select(arm="ridge").group("model.width", "test/loss")
    band(axes, ridge, "ridge 0.01", control=True)
    _limit(axes, 20, range(20, 4001))
    threshold(axes, "features = samples", x=_SAMPLES)
    ticks_at(axes, [20, 80, 200, 400, 1000, 4000])
    axes.set(xlabel="random features", ylabel="test loss")


@figure(
    title="Measured and closed-form risk",
    caption=(
        "Least squares of least norm on 200 samples, noise 0.5. Left: random features of 100 inputs, "
        "where the limit of proportional sizes is near. Right: on the inputs themselves, where the risk "
        "is known exactly. Both are infinite at the vertical line, where nothing is measured."
    ),
    panels=2,
)
def closed_forms(axes: "list[Axes]", table: Table) -> None:
    """Two problems whose risk theory gives, on both sides of the peak."""
    left, right = axes
    for panel, arm, key in ((left, "limit", "model.width"), (right, "isotropic", "data.input_dim")):
        log(panel)
        points = table.select(arm=arm).group(key, "test/loss")
        for side in ([p for p in points if p.x < _SAMPLES], [p for p in points if p.x > _SAMPLES]):
            band(panel, side, "measured")
        ticks_at(panel, points)
        panel.set(ylabel="test loss")
    _limit(left, 100, range(50, 601))
    _exact(right, range(50, 601), 600)
    threshold(left, "features = samples", x=_SAMPLES)
    threshold(right, "inputs = samples", x=_SAMPLES)
    left.set(title="ReLU random features of 100 inputs", xlabel="random features")
    right.set(title="isotropic inputs", xlabel="inputs seen, of 600")


FIGURES = [random_features, closed_forms]
