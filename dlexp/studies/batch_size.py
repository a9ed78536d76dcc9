"""Do small batches find flatter minima, and do flatter minima generalise better?

Seeds are paired: at each seed all batch sizes share data and initial weights.
"""

from typing import TYPE_CHECKING

from dlexp.plots import band, log, scatter, threshold, ticks_at
from dlexp.results.claims import Claim, at_least, between
from dlexp.results.statistics import Value, difference, rank_correlation, ratio, value
from dlexp.results.study import figure
from dlexp.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Do small batches find flatter minima, and do flatter minima generalise better?"

SOURCES = [
    "Hochreiter, Schmidhuber 1997: Flat minima. Neural Computation.",
    "Keskar, Mudigere, Nocedal, Smelyanskiy, Tang 2017: On large-batch training for deep learning. ICLR.",
    (
        "Jastrzebski, Kenton, Arpit, Ballas, Fischer, Bengio, Storkey 2017: Three factors influencing "
        "minima in SGD."
    ),
    "Foret, Kleiner, Mobahi, Neyshabur 2021: Sharpness-aware minimization. ICLR.",
    "Dinh, Pascanu, S. Bengio, Y. Bengio 2017: Sharp minima can generalize for deep nets. ICML.",
]

METRICS = ["hessian/lambda_max", "sharpness/worst_case", "test/loss", "train/loss"]


def _at(size: int, metric: str, arm: str) -> Value:
    return value(metric, {"arm": arm, "data.batch_size": size})


CLAIMS = [
    Claim(
        name="small_batches_are_flatter",
        text=(
            "After equally many steps lambda_max of the training loss is larger for the full batch than for "
            "batches of 4."
        ),
        source="Keskar et al. 2017, sec. 2.2; Jastrzebski et al. 2017",
        statistic=ratio(
            of=_at(200, "hessian/lambda_max", "equal_steps"), to=_at(4, "hessian/lambda_max", "equal_steps")
        ),
        region=at_least(1),
        controls=["trained_alike_after_equal_steps"],
        figure="batch_size",
        scope=(
            "One task, network and learning rate. The full batch ends at the edge of stability, 2 / lr = "
            "40, so its value is one of the learning rate too."
        ),
    ),
    Claim(
        name="small_batches_have_less_worst_case_sharpness",
        text=(
            "After equally many steps the loss rises more within a distance of 0.05 for the full batch than "
            "for batches of 4."
        ),
        source="Keskar et al. 2017, metric 2.1; Foret et al. 2021",
        statistic=ratio(
            of=_at(200, "sharpness/worst_case", "equal_steps"),
            to=_at(4, "sharpness/worst_case", "equal_steps"),
        ),
        region=at_least(1),
        controls=["trained_alike_after_equal_steps"],
        figure="batch_size",
        scope=(
            "A distance in weight space, which a rescaling of layers would change; the networks compared "
            "start alike."
        ),
    ),
    Claim(
        name="small_batches_generalise_better",
        text="After equally many steps the test loss is larger for the full batch than for batches of 4.",
        source="Keskar et al. 2017, sec. 2.1",
        statistic=ratio(of=_at(200, "test/loss", "equal_steps"), to=_at(4, "test/loss", "equal_steps")),
        region=at_least(1),
        controls=["trained_alike_after_equal_steps"],
        figure="batch_size",
        scope=(
            "Shows that both go together here, not that flatness is the cause; the counter-example has the "
            "one without the other."
        ),
    ),
    Claim(
        name="flatter_generalises_better",
        text="Over the batch sizes the test loss rises with lambda_max.",
        source="Hochreiter and Schmidhuber 1997; Keskar et al. 2017",
        statistic=rank_correlation("test/loss", along="hessian/lambda_max", where={"arm": "equal_steps"}),
        region=between(0, 1),
        controls=["trained_alike_after_equal_steps"],
        figure="flatness_and_test_loss",
        scope=(
            "Four networks a seed, which differ in batch size only; a correlation, which the counter-"
            "example does not share."
        ),
    ),
    Claim(
        name="trained_alike_after_equal_steps",
        text=(
            "After equally many steps full batch and batches of 4 have the same training loss, within 5 % "
            "of the noise's variance."
        ),
        source="control",
        statistic=difference(
            of=_at(200, "train/loss", "equal_steps"), minus=_at(4, "train/loss", "equal_steps")
        ),
        region=between(-0.002, 0.002),
        figure="batch_size",
        scope="Both fit the noisy targets almost exactly, so that minima are compared.",
    ),
    Claim(
        name="flatter_after_equal_epochs",
        text=(
            "After equally many epochs, too, lambda_max is larger for the full batch than for batches of 4."
        ),
        source="popular comparison with equal epochs",
        statistic=ratio(
            of=_at(200, "hessian/lambda_max", "equal_epochs"), to=_at(4, "hessian/lambda_max", "equal_epochs")
        ),
        region=at_least(1),
        figure="batch_size",
        scope=(
            "In 80 epochs the full batch takes 80 steps and is far from a minimum; its curvature there says "
            "nothing of minima."
        ),
    ),
    Claim(
        name="better_after_equal_epochs",
        text=("After equally many epochs the test loss is larger for the full batch than for batches of 4."),
        source="popular comparison with equal epochs",
        statistic=ratio(of=_at(200, "test/loss", "equal_epochs"), to=_at(4, "test/loss", "equal_epochs")),
        region=at_least(1),
        controls=["trained_alike_after_equal_epochs"],
        figure="batch_size",
        scope=(
            "Fifty times fewer steps, not the batch size, explain it as long as the training losses differ."
        ),
    ),
    Claim(
        name="trained_alike_after_equal_epochs",
        text=(
            "After equally many epochs full batch and batches of 4 have the same training loss, within 5 % "
            "of the noise's variance."
        ),
        source="control",
        statistic=difference(
            of=_at(200, "train/loss", "equal_epochs"), minus=_at(4, "train/loss", "equal_epochs")
        ),
        region=between(-0.002, 0.002),
        figure="batch_size",
        scope="Where it fails, a comparison after equally many epochs is one of training times.",
    ),
    Claim(
        name="counter_example_is_flatter",
        text=(
            "With 1000 samples and one hidden layer of 30, too, lambda_max is larger for the full batch "
            "than for batches of 8."
        ),
        source="Keskar et al. 2017, sec. 2.2",
        statistic=ratio(
            of=_at(1000, "hessian/lambda_max", "counter_example"),
            to=_at(8, "hessian/lambda_max", "counter_example"),
        ),
        region=at_least(1),
        figure="counter_example",
        scope="Equal steps, data and initial weights; learning rate 0.1.",
    ),
    Claim(
        name="counter_example_orders_test_losses",
        text="There, too, the test loss rises with lambda_max over the batch sizes.",
        source="popular reading of Keskar et al. 2017",
        statistic=rank_correlation("test/loss", along="hessian/lambda_max", where={"arm": "counter_example"}),
        region=between(0, 1),
        controls=["counter_example_is_flatter"],
        figure="flatness_and_test_loss",
        scope="The statistic of flatter_generalises_better on another network, with three batch sizes.",
    ),
    Claim(
        name="counter_example_generalises_better",
        text="There, too, the test loss is larger for the full batch than for batches of 8.",
        source="popular reading of Keskar et al. 2017",
        statistic=ratio(
            of=_at(1000, "test/loss", "counter_example"), to=_at(8, "test/loss", "counter_example")
        ),
        region=at_least(1),
        controls=["counter_example_is_flatter"],
        figure="counter_example",
        scope=(
            "One network too small to fit the noise, where the noise of small batches keeps the training "
            "loss up as well: flatness alone does not order test losses."
        ),
    ),
]

# figures


_MEASURED = {
    "hessian/lambda_max": "largest Hessian eigenvalue",
    "train/loss": "training loss",
    "test/loss": "test loss",
}


@figure(
    title="Sharpness, training and test loss against batch size: 200 samples, two hidden layers of 50",
    caption=(
        "After equally many steps smaller batches end flatter and with a smaller test loss, at the same "
        "training loss. After equally many epochs large batches have hardly been trained: low curvature, "
        "but no minimum."
    ),
    panels=(1, 3),
)
def batch_size(axes: "list[Axes]", table: Table) -> None:
    """Three measures against the batch size, for equal steps and for equal epochs."""
    log(axes[1])
    for panel, (metric, name) in zip(axes, _MEASURED.items(), strict=True):
        log(panel, "x")
        for arm, label in {"equal_steps": "4000 steps each", "equal_epochs": "80 epochs each"}.items():
            points = table.select(arm=arm).group("data.batch_size", metric)
            band(panel, points, label)
            ticks_at(panel, points)
        panel.set(xlabel="batch size", ylabel=name)
    threshold(axes[0], "edge of stability", y=40)
    for panel in axes[1:]:
        threshold(panel, "noise variance", y=0.04)


@figure(
    title="Sharpness, training and test loss against batch size: 1000 samples, one hidden layer of 30",
    caption=(
        "Here, too, smaller batches end flatter, but with a larger training loss and no smaller test loss."
    ),
    panels=(1, 3),
)
def counter_example(axes: "list[Axes]", table: Table) -> None:
    """The same three measures where flatness does not go with a smaller test loss."""
    for panel, (metric, name) in zip(axes, _MEASURED.items(), strict=True):
        log(panel, "x")
        points = table.select(arm="counter_example").group("data.batch_size", metric)
        band(panel, points)
        ticks_at(panel, points)
        panel.set(xlabel="batch size", ylabel=name)
    threshold(axes[0], "edge of stability", y=20)


@figure(
    title="Test loss against sharpness, one point a network",
    caption=(
        "Left: the flatter the minimum, the smaller the test loss at each seed. Right: not so in the "
        "counter-example."
    ),
    panels=2,
)
def flatness_and_test_loss(axes: "list[Axes]", table: Table) -> None:
    """Each network's test loss against its largest Hessian eigenvalue, by batch size."""
    panels = {
        "equal_steps": ("equal steps, 200 samples", (200, 50, 10, 4)),
        "counter_example": ("counter-example, 1000 samples", (1000, 32, 8)),
    }
    for panel, (arm, (title, sizes)) in zip(axes, panels.items(), strict=True):
        for size in sizes:
            runs = table.select({"data.batch_size": size}, arm=arm).done
            scatter(panel, runs.column("hessian/lambda_max"), runs.column("test/loss"), f"batch {size}")
        panel.set(title=title, xlabel="largest Hessian eigenvalue", ylabel="test loss")


FIGURES = [batch_size, counter_example, flatness_and_test_loss]
