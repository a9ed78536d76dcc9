"""Does the test loss peak where a network has as many parameters as samples, and fall again beyond?

Does the test loss peak where a network can just interpolate its noisy samples, and fall again beyond?
Networks of 22 width + 1 parameters, trained until they interpolate (training loss below 1e-7) or for 4000
steps.
"""

from dlexp.results.claims import Claim, at_least, at_most, between
from dlexp.results.statistics import difference, peak, ratio, value

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
        statistic=ratio(
            of=value("test/loss", {"arm": "width", "model.width": 5}),
            to=value("test/loss", {"arm": "width", "model.width": 300}),
        ),
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
        statistic=ratio(
            of=value("test/loss", {"arm": "width", "model.width": 300}),
            to=value("test/loss", {"arm": "width", "model.width": 1}),
        ),
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
        statistic=ratio(
            of=value("test/loss", {"arm": "notebook_teacher", "model.width": 9}),
            to=value("test/loss", {"arm": "notebook_teacher", "model.width": 300}),
        ),
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
        statistic=difference(
            of=value("test/loss", {"arm": "no_noise", "model.width": 5}),
            minus=value("test/loss", {"arm": "no_noise", "model.width": 300}),
        ),
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
        statistic=ratio(
            of=value("test/loss", {"arm": "stopped_early", "model.width": 5}),
            to=value("test/loss", {"arm": "stopped_early", "model.width": 300}),
        ),
        region=at_most(1.5),
        figure="double_descent",
        scope="Shows that the peak belongs to interpolation, not to the number of parameters alone.",
    ),
]

# figures
