"""Does the test loss peak where a network has as many parameters as samples, and fall again beyond?

Does the test loss peak where a network can just interpolate its noisy samples, and fall again beyond?
Networks of 22 width + 1 parameters, trained until they interpolate (training loss below 1e-7) or for 4000
steps.
"""

from typing import TYPE_CHECKING

from dlexp.plots import band, crossing, log, threshold, ticks_at
from dlexp.results.claims import Claim, at_least, at_most, between
from dlexp.results.statistics import Value, difference, peak, ratio, value
from dlexp.results.study import figure
from dlexp.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Does the test loss peak where a network has as many parameters as samples, and fall again beyond?"

SOURCES = [
    (
        "Belkin, Hsu, Ma, Mandal 2019: Reconciling modern machine-learning practice and the classical "
        "bias-variance trade-off. PNAS."
    ),
    "Belkin, Hsu, Xu 2020: Two models of double descent for weak features. SIAM J. Math. Data Sci.",
    "Nakkiran, Kaplun, Bansal, Yang, Barak, Sutskever 2020: Deep double descent. ICLR.",
]

METRICS = ["test/loss", "train/loss"]


def _loss(arm: str, width: int) -> Value:
    return value("test/loss", {"arm": arm, "model.width": width})


CLAIMS = [
    Claim(
        name="peak_at_threshold",
        text="The test loss peaks near as many parameters as samples (100).",
        source="Belkin et al. 2019, fig. 1; Nakkiran et al. 2020 (model-wise double descent)",
        statistic=peak("test/loss", along="model/parameters", where={"arm": "width"}),
        region=between(80, 150),
        controls=["no_peak_without_noise", "no_peak_if_stopped_early"],
        figure="double_descent",
        scope=(
            "Shows where the peak of the mean curve lies on this grid of widths, not its exact place "
            "between them; the threshold of a trained network need not be at parameters = samples in "
            "general."
        ),
    ),
    Claim(
        name="peak_moves_with_samples",
        text="With twice the samples (200) the peak lies near twice the parameters.",
        source="Nakkiran et al. 2020 (more samples move the peak)",
        statistic=peak("test/loss", along="model/parameters", where={"arm": "more_samples"}),
        region=between(160, 300),
        controls=["no_peak_without_noise"],
        figure="double_descent",
        scope=(
            "Shows that the peak follows the number of samples, at two sample sizes and one input dimension."
        ),
    ),
    Claim(
        name="falls_again",
        text="Beyond the threshold the test loss falls to less than two thirds of its peak.",
        source="Belkin et al. 2019, fig. 1",
        statistic=ratio(of=_loss("width", 5), to=_loss("width", 300)),
        region=at_least(1.5),
        controls=["no_peak_without_noise", "no_peak_if_stopped_early"],
        figure="double_descent",
        scope=(
            "Compares the first width beyond the threshold with the widest; it does not say that the widest "
            "is the best of all."
        ),
    ),
    Claim(
        name="widest_is_best",
        text="The largest network generalises better than the smallest.",
        source="popular reading of Belkin et al. 2019",
        statistic=ratio(of=_loss("width", 300), to=_loss("width", 1)),
        region=at_most(1),
        figure="double_descent",
        scope=(
            "On this linear teacher one hidden unit is nearly the right model; another target may reward "
            "width."
        ),
    ),
    Claim(
        name="more_data_hurts",
        text="At fixed width (221 parameters) 200 samples give a larger test loss than 100.",
        source="Nakkiran et al. 2020 (sample-wise non-monotonicity)",
        statistic=ratio(
            of=value("test/loss", {"arm": "samples", "data.n_train": 200}),
            to=value("test/loss", {"arm": "samples", "data.n_train": 100}),
        ),
        region=at_least(1),
        figure="samples_and_steps",
        scope=(
            "Compares two sample sizes below and at the threshold of one width; still more samples help "
            "again."
        ),
    ),
    Claim(
        name="more_steps_help_again",
        text="Past the point of overfitting, training on lowers the test loss again by a tenth.",
        source="Nakkiran et al. 2020 (epoch-wise double descent)",
        statistic=ratio(
            of=value("test/loss", {"arm": "steps", "trainer.max_steps": 4000}),
            to=value("test/loss", {"arm": "steps", "trainer.max_steps": 200}),
        ),
        region=at_most(0.9),
        figure="samples_and_steps",
        scope=(
            "One width and learning rate, each number of steps with its own cosine decay; it does not "
            "exclude the effect for larger networks or label noise."
        ),
    ),
    Claim(
        name="notebook_teacher_falls_again",
        text=(
            "On the notebook's target, too, the loss at the threshold is 1.5 times that of the widest "
            "network."
        ),
        source="Belkin et al. 2019, fig. 1",
        statistic=ratio(of=_loss("notebook_teacher", 9), to=_loss("notebook_teacher", 300)),
        region=at_least(1.5),
        controls=["no_peak_if_stopped_early"],
        figure="notebook_teacher",
        scope=(
            "A nonlinear target with less noise; the notebook's own training (500 epochs at lr 1e-3) does "
            "not interpolate and shows no peak."
        ),
    ),
    Claim(
        name="no_peak_without_noise",
        text="Without noise the loss at the threshold is at most 0.1 above that of the widest network.",
        source="Belkin, Hsu and Xu 2020, theorem 1 (no variance without noise)",
        statistic=difference(of=_loss("no_noise", 5), minus=_loss("no_noise", 300)),
        region=at_most(0.1),
        figure="double_descent",
        scope=(
            "The same networks and steps on targets without noise, tested without noise; a difference, as "
            "both losses are near 0 and their ratio says little. With noise the peak stands about 1 above "
            "the widest."
        ),
    ),
    Claim(
        name="no_peak_if_stopped_early",
        text=(
            "After 200 steps, before interpolation, the loss at the threshold is not 1.5 times that of the "
            "widest."
        ),
        source="Nakkiran et al. 2020 (early stopping)",
        statistic=ratio(of=_loss("stopped_early", 5), to=_loss("stopped_early", 300)),
        region=at_most(1.5),
        figure="double_descent",
        scope="Shows that the peak belongs to interpolation, not to the number of parameters alone.",
    ),
]

# figures


@figure(
    title="Test loss against width, and where parameters equal samples",
    caption=(
        "Left: with noisy targets the test loss peaks where parameters equal samples (dotted), for 100 "
        "and for 200 samples. Right: neither without noise nor when training stops after 200 steps."
    ),
    panels=2,
)
def double_descent(axes: "list[Axes]", table: Table) -> None:
    """The peak at the interpolation threshold beside its controls, on one scale."""
    left, right = axes
    right.sharey(left)
    for panel in axes:
        log(panel, "x")
    for arm, samples in {"width": 100, "more_samples": 200}.items():
        runs = table.select(arm=arm)
        band(left, runs.group("model.width", "test/loss"), f"{samples} samples")
        colour = left.lines[-1].get_color()
        label = "parameters = samples" if samples == 100 else ""
        crossing(left, runs.group("model.width", "model/parameters"), samples, label, color=colour)
    threshold(left, "noise of the test targets", y=0.25)
    width = table.select(arm="width")
    points = width.group("model.width", "test/loss")
    band(right, points, "100 samples")
    for arm, label in {"stopped_early": "stopped after 200 steps", "no_noise": "no noise"}.items():
        band(right, table.select(arm=arm).group("model.width", "test/loss"), label, control=True)
    crossing(right, width.group("model.width", "model/parameters"), 100, "parameters = samples")
    for panel, title in zip(axes, ("trained until it interpolates", "controls, 100 samples"), strict=True):
        ticks_at(panel, points)
        panel.set(title=title, xlabel="width (hidden units)", ylabel="test loss")


@figure(
    title="Test loss against samples (221 parameters) and against training steps (551 parameters)",
    caption=(
        "Left: near the threshold more samples make the test loss worse. Right: each point is a training "
        "run of its own length; the loss falls, rises while the noise is fitted, and stays there."
    ),
    panels=2,
)
def samples_and_steps(axes: "list[Axes]", table: Table) -> None:
    """The same peak along the number of samples and along the number of steps."""
    left, right = axes
    for panel in axes:
        log(panel, "x")
    samples = table.select(arm="samples").group("data.n_train", "test/loss")
    band(left, samples)
    threshold(left, "parameters = samples", x=221)
    steps = table.select(arm="steps").group("trainer.max_steps", "test/loss")
    band(right, steps)
    ticks_at(right, steps)
    ticks_at(left, samples)
    left.set(title="width 10", xlabel="training samples", ylabel="test loss")
    right.set(title="width 25", xlabel="training steps", ylabel="test loss")


@figure(
    title="Test loss on the notebook's target, sin x₀ + cos x₁ + noise 0.3",
    caption="The same sweep on the notebook's target and 10 inputs.",
)
def notebook_teacher(axes: "Axes", table: Table) -> None:
    """The sweep over widths on the target that the project grew from."""
    log(axes)
    runs = table.select(arm="notebook_teacher")
    points = runs.group("model.width", "test/loss")
    band(axes, points)
    crossing(axes, runs.group("model.width", "model/parameters"), 100, "parameters = samples")
    ticks_at(axes, points)
    axes.set(xlabel="width (hidden units)", ylabel="test loss")


FIGURES = [double_descent, samples_and_steps, notebook_teacher]
