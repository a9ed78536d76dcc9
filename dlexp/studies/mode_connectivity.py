"""Are independently trained networks joined by paths of low loss, and when does training settle on one
valley?

Each job trains its network and a twin: from another initialisation, or split off with another batch order.
"""

from typing import TYPE_CHECKING

from dlexp.plots import band, closed_form, log, paths, ticks_at
from dlexp.results.claims import Claim, at_least, at_most, between
from dlexp.results.statistics import Value, rank_correlation, ratio, slope, value
from dlexp.results.study import figure
from dlexp.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = (
    "Are independently trained networks joined by paths of low loss, and when does training settle "
    "on one valley?"
)

SOURCES = [
    (
        "Garipov, Izmailov, Podoprikhin, Vetrov, Wilson 2018: Loss surfaces, mode connectivity, and "
        "fast ensembling of DNNs. NeurIPS."
    ),
    (
        "Draxler, Veschgini, Salmhofer, Hamprecht 2018: Essentially no barriers in neural network "
        "energy landscape. ICML."
    ),
    (
        "Frankle, Dziugaite, Roy, Carbin 2020: Linear mode connectivity and the lottery ticket "
        "hypothesis. ICML."
    ),
    (
        "Entezari, Sedghi, Saukh, Neyshabur 2022: The role of permutation invariance in linear mode "
        "connectivity. ICLR."
    ),
    "Ainsworth, Hayase, Srinivasa 2023: Git Re-Basin: merging models modulo permutation symmetries. ICLR.",
]

METRICS = [
    "barrier/linear",
    "barrier/matched",
    "barrier/curve",
    "barrier/linear_mean_end",
    "train/loss",
    "test/loss",
]


def _wide(width: int, metric: str) -> Value:
    return value(metric, {"arm": "width", "model.width": width})


def _split(step: int, metric: str) -> Value:
    return value(metric, {"arm": "instability", "callbacks.barrier.split_step": step})


CLAIMS = [
    Claim(
        name="straight_line_has_a_barrier",
        text=(
            "On the straight line between two networks of width 256 the training loss rises by more than "
            "the loss of the ends."
        ),
        source="Garipov et al. 2018, fig. 1; Draxler et al. 2018",
        statistic=ratio(of=_wide(256, "barrier/linear"), to=_wide(256, "train/loss")),
        region=at_least(1),
        controls=["convex_model_has_no_barrier"],
        figure="mode_connectivity",
        scope=(
            "Two initialisations, the same data and batches; the barrier is the rise over the linear "
            "interpolation of the ends."
        ),
    ),
    Claim(
        name="width_alone_halves_the_barrier",
        text="From width 16 to 256 the barrier on the straight line falls by half or more.",
        source="Entezari et al. 2022 (the barrier against width)",
        statistic=ratio(of=_wide(256, "barrier/linear"), to=_wide(16, "barrier/linear")),
        region=at_most(0.5),
        figure="mode_connectivity",
        scope="Widths up to 256; it says nothing of far wider networks.",
    ),
    Claim(
        name="matching_removes_most_of_it",
        text=("At width 256 matching the hidden units by their weights removes nine tenths of the barrier."),
        source="Entezari et al. 2022; Ainsworth et al. 2023",
        statistic=ratio(of=_wide(256, "barrier/matched"), to=_wide(256, "barrier/linear")),
        region=at_most(0.1),
        controls=["straight_line_has_a_barrier"],
        figure="mode_connectivity",
        scope=(
            "The permutation found is a local optimum of weight matching, so the best one may remove still "
            "more."
        ),
    ),
    Claim(
        name="matched_barrier_falls_with_width",
        text="The wider the networks, the smaller the barrier that matching leaves.",
        source="Ainsworth et al. 2023 (wider networks match better)",
        statistic=slope("barrier/matched", along="model.width", where={"arm": "width"}),
        region=at_most(0),
        controls=["straight_line_has_a_barrier"],
        figure="mode_connectivity",
        scope=(
            "Four widths, the slope of a power law through them; it does not show that the barrier tends to "
            "0."
        ),
    ),
    Claim(
        name="matched_networks_are_linearly_connected",
        text="At width 256 matching leaves a barrier no larger than the loss of the ends.",
        source="Entezari et al. 2022 (their conjecture)",
        statistic=ratio(of=_wide(256, "barrier/matched"), to=_wide(256, "train/loss")),
        region=at_most(1),
        figure="mode_connectivity",
        scope=(
            "The ends fit the noise, so their loss is a strict yardstick; the conjecture is of the best "
            "permutation and of wide enough networks, and this does not refute it."
        ),
    ),
    *(
        Claim(
            name=f"curve_joins_{name}_networks",
            text=(
                f"At width {width} a trained Bezier curve has at most a fiftieth of the straight line's "
                "barrier."
            ),
            source="Garipov et al. 2018; Draxler et al. 2018",
            statistic=ratio(of=_wide(width, "barrier/curve"), to=_wide(width, "barrier/linear")),
            region=at_most(0.02),
            controls=["straight_line_has_a_barrier"],
            figure="mode_connectivity",
            scope=scope,
        )
        for name, width, scope in (
            (
                "narrow",
                16,
                "A curve found by training one control point; 25 points on it are measured.",
            ),
            ("wide", 256, "As for width 16; no permutation is needed for a curve."),
        )
    ),
    Claim(
        name="early_split_is_unstable",
        text=(
            "Twins that split at the start end at least ten times as far apart, by their barrier, as twins "
            "that split after 10 epochs."
        ),
        source="Frankle et al. 2020 (instability analysis)",
        statistic=ratio(of=_split(0, "barrier/linear_mean_end"), to=_split(200, "barrier/linear_mean_end")),
        region=at_least(10),
        controls=["convex_model_has_no_barrier"],
        figure="mode_connectivity",
        scope=(
            "One batch order against another from the same weights; the barrier over the mean of the ends, "
            "as in the source."
        ),
    ),
    Claim(
        name="training_becomes_stable",
        text="The later the split, the smaller the barrier between the twins.",
        source="Frankle et al. 2020 (instability analysis)",
        statistic=rank_correlation(
            "barrier/linear_mean_end", along="callbacks.barrier.split_step", where={"arm": "instability"}
        ),
        region=between(-1, -0.5),
        controls=["convex_model_has_no_barrier"],
        figure="mode_connectivity",
        scope="Twins that split later also have less training left to part in; both effects are in it.",
    ),
    Claim(
        name="late_split_is_stable",
        text="Twins that split after 10 of 60 epochs end with a barrier below a tenth of their loss.",
        source="Frankle et al. 2020 (instability analysis)",
        statistic=ratio(of=_split(200, "barrier/linear_mean_end"), to=_split(200, "train/loss")),
        region=at_most(0.1),
        figure="mode_connectivity",
        scope=(
            "Linear connectivity of the training loss; it does not say that the twins are the same function."
        ),
    ),
    Claim(
        name="convex_model_has_no_barrier",
        text="Between two linear models there is no barrier.",
        source="control; convexity",
        statistic=value("barrier/linear", {"arm": "convex"}),
        region=at_most(1e-06),
        figure="along_paths",
        scope="The same measurement on a convex loss, exact up to rounding in float32.",
    ),
]

# figures


_PATHS = {"linear": "straight line", "matched": "line, units matched", "curve": "Bezier curve"}


@figure(
    title="Barriers of the training loss between two trained networks",
    caption=(
        "Left: between independently trained networks the straight line has a high barrier at every "
        "width; matching the hidden units lowers it, the more the wider, and a trained curve has next to "
        "none. Right: twins that share the first epochs; the later they split, the lower the barrier "
        "between them at the end."
    ),
    panels=2,
)
def mode_connectivity(axes: "list[Axes]", table: Table) -> None:
    """Barriers against the width, and against the step at which twins split."""
    left, right = axes
    right.sharey(left)
    log(left)
    log(right, "y")
    width, twins = table.select(arm="width"), table.select(arm="instability")
    for name, label in _PATHS.items():
        band(left, width.group("model.width", f"barrier/{name}"), label)
    band(right, twins.group("callbacks.barrier.split_step", "barrier/linear_mean_end"), _PATHS["linear"])
    for panel, runs, key in ((left, width, "model.width"), (right, twins, "callbacks.barrier.split_step")):
        points = runs.group(key, "train/loss")
        x, loss = [point.x for point in points], [point.mean for point in points]
        closed_form(panel, x, loss, "loss of the networks")
        ticks_at(panel, points)
        panel.set(ylabel="barrier of the training loss")
    left.set(title="independently trained", xlabel="width (hidden units)")
    right.set(title="split off on the way (width 50)", xlabel="step of the split (20 steps an epoch)")


@figure(
    title="Training loss along paths between two trained networks",
    caption=(
        "From the network (0) to its twin (1). The Bezier curve stays low where the straight line does "
        "not; between two linear models, the convex control, there is no barrier."
    ),
    panels=2,
)
def along_paths(axes: "list[Axes]", table: Table) -> None:
    """The loss along three paths for a narrow and a wide network."""
    axes[1].sharey(axes[0])
    for panel, width in zip(axes, (16, 256), strict=True):
        log(panel, "y")
        runs = table.select({"model.width": width}, arm="width")
        for name, label in _PATHS.items():
            paths(panel, runs.paths(f"barrier/{name}_losses", "barrier/positions"), label)
        convex = table.select(arm="convex").paths("barrier/linear_losses", "barrier/positions")
        paths(panel, convex, "linear model, straight line", control=True)
        panel.set(title=f"width {width}", xlabel="position on the path", ylabel="training loss")


FIGURES = [mode_connectivity, along_paths]
