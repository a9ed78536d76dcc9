"""The settings of dlexp's callbacks and what they may be; a user's own callback has no entry here.

One class a callback, found by its ``_target_`` in ``SETTINGS``. ``problems`` says what does not fit among the
callback's own settings, ``problems_with`` what does not fit the rest of a configuration that is right.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from dlexp.config.errors import not_allowed
from dlexp.config.kinds import LARGEST_SEED, SEED, TARGET, flag, list_of, odd, one_of, real, text, whole
from dlexp.config.least_squares import (
    IsotropicRiskSettings,
    LeastSquaresSettings,
    MinimumNormSettings,
    RandomFeatureRiskSettings,
    UnexplainedVarianceSettings,
)
from dlexp.config.schedule import CallbackSettings, Schedule
from dlexp.config.schema import Config

ALL = whole(1, null="all")
PRUNING = "dlexp.callbacks.pruning.Pruning"
DERIVED_SEED = whole(0, LARGEST_SEED, null="one that follows from the job's")


class HessianSettings(Schedule):
    """``callbacks=[hessian]``."""

    metrics: ClassVar = ("hessian/", "sharpness/relative_to_edge")

    n_samples: Annotated[int | None, ALL] = None
    dense_up_to: Annotated[int, whole(0)] = 1000
    smallest: Annotated[bool, flag()] = True
    trace_probes: Annotated[int | None, whole(2, null="no trace")] = None
    density_probes: Annotated[int | None, whole(1, null="no density")] = 5
    density_steps: Annotated[int, whole(1)] = 60
    tolerance: Annotated[float, real(above=0)] = 1e-5
    late_measurements: Annotated[int, whole(1)] = 10
    batch_size: Annotated[int | None, whole(1, null="all at once")] = None


class NTKSettings(Schedule):
    """``callbacks=[ntk]``."""

    metrics: ClassVar = ("ntk/",)

    n_samples: Annotated[int | None, ALL] = 100
    n_test: Annotated[int | None, ALL] = 100
    linearized: Annotated[bool | None, flag(null="where its closed form holds")] = None


class FunctionSettings(Schedule):
    """``callbacks=[function]``: a user's own function, which may record any name."""

    metrics: ClassVar = ("",)
    in_half: ClassVar = True

    function: Annotated[str, TARGET]


SHARPNESS_MEASURES = ("worst_case", "one_step", "average", "adaptive")


class SharpnessSettings(Schedule):
    """``callbacks=[sharpness]``."""

    metrics: ClassVar = ("sharpness/",)

    measures: Annotated[list[str], list_of(one_of(SHARPNESS_MEASURES))] = Field([*SHARPNESS_MEASURES])
    radius: Annotated[float, real(above=0)] = 0.05
    adaptive_radius: Annotated[float, real(above=0)] = 0.5
    n_samples: Annotated[int | None, ALL] = None
    n_starts: Annotated[int, whole(1)] = 8
    max_steps: Annotated[int, whole(1)] = 200
    n_directions: Annotated[int, whole(2)] = 64
    chunk_size: Annotated[int | None, whole(1, null="all at once")] = None


class BarrierSettings(Schedule):
    """``callbacks=[barrier]``."""

    metrics: ClassVar = ("barrier/",)

    partner: Annotated[str, one_of(("initialization", "checkpoint", "twin"))] = "twin"
    checkpoint: Annotated[str | None, text("the path of a last.ckpt", null="none")] = None
    partner_seed: Annotated[int | None, DERIVED_SEED] = None
    split_step: Annotated[int | None, whole(0, null="a twin from the start")] = None
    order_seed: Annotated[int | None, DERIVED_SEED] = None
    matching: Annotated[bool, flag()] = True
    curve: Annotated[bool, flag()] = True
    curve_steps: Annotated[int, whole(1)] = 2000
    curve_learning_rate: Annotated[float, real(above=0)] = 0.005
    curve_batch_size: Annotated[int | None, whole(1, null="the whole training set")] = None
    points: Annotated[int, whole(3, 10**6)] = 25

    def problems(self, key: str) -> Iterator[str]:  # noqa: D102
        for name in ("partner_seed", "split_step", "order_seed"):
            value = getattr(self, name)
            if value is not None and self.partner != "twin":
                yield not_allowed(
                    f"{key}.{name}", value, f"null with partner={self.partner}: only a twin has it"
                )
        if self.split_step is not None and self.partner_seed is not None:
            yield not_allowed(
                f"{key}.partner_seed",
                self.partner_seed,
                f"null with split_step={self.split_step}: a twin that splits off starts as the network does",
            )
        if (self.checkpoint is None) == (self.partner == "checkpoint"):
            needed = "the path of a last.ckpt with" if self.checkpoint is None else "null with"
            yield not_allowed(f"{key}.checkpoint", self.checkpoint, f"{needed} partner={self.partner}")

    def problems_with(self, key: str, config: Config) -> Iterator[str]:  # noqa: D102
        yield from super().problems_with(key, config)
        size, n_train = self.curve_batch_size, config.data.n_train
        if size is not None and size > n_train:
            yield not_allowed(f"{key}.curve_batch_size", size, f"at most data.n_train={n_train}")
        targets = [settings.get("_target_") for settings in config.callbacks.values()]
        if self.partner == "twin" and PRUNING in targets:
            yield not_allowed(f"{key}.partner", "twin", "another one beside callbacks.pruning")
        if self.split_step is None:
            return
        if self.split_step >= config.total_steps:
            steps = config.total_steps
            yield not_allowed(f"{key}.split_step", self.split_step, f"below the number of steps, {steps}")
        if config.data.batch_size == "full":
            yield not_allowed(
                f"{key}.split_step",
                self.split_step,
                "null with data.batch_size=full: without batches in another order the twin stays the same",
            )


GEOMETRY_MEASURES = (
    *("probe_error", "pca_dimension", "participation_ratio"),
    *("twonn_dimension", "class_separation", "cka"),
)
FEWEST_SAMPLES = 4  # of the debiased CKA


class GeometrySettings(Schedule):
    """``callbacks=[geometry]``."""

    metrics: ClassVar = ("geometry/",)

    measures: Annotated[list[str], list_of(one_of(GEOMETRY_MEASURES))] = Field([*GEOMETRY_MEASURES])
    n_samples: Annotated[int | None, whole(FEWEST_SAMPLES, null="all")] = 1000
    layers: Annotated[list[str] | None, list_of(text("a module's name"), null="after each activation")] = None
    probe_regularization: Annotated[float, real(above=0)] = 1.0
    pca_threshold: Annotated[float, real(above=0, most=1)] = 0.95

    def problems_with(self, key: str, config: Config) -> Iterator[str]:  # noqa: D102
        yield from super().problems_with(key, config)
        if config.data.n_test < FEWEST_SAMPLES:
            yield not_allowed("data.n_test", config.data.n_test, f"at least {FEWEST_SAMPLES} with {key}")
        if self.measures == ["class_separation"] and config.data.task != "classification":
            task = config.data.task
            yield not_allowed(
                f"{key}.measures", self.measures, f"another list: data.task={task} has no classes"
            )


class LandscapeSettings(Schedule):
    """``callbacks=[landscape]``."""

    metrics: ClassVar = ("landscape/",)

    directions: Annotated[str, one_of(("random", "trajectory"))] = "random"
    normalize: Annotated[str, one_of(("filter", "layer", "unit", "none"))] = "filter"
    bias: Annotated[str, one_of(("zero", "scale"))] = "zero"
    balance: Annotated[bool, flag()] = False
    extent: Annotated[float, real(above=0)] = 1.0
    lines: Annotated[int, whole(1)] = 5
    line_points: Annotated[int, odd(3, 10**6)] = 51
    plane_points: Annotated[int, odd(3, 10**4)] = 51
    rescaling: Annotated[float | None, real(above=0, null="no comparison")] = None

    def problems(self, key: str) -> Iterator[str]:  # noqa: D102
        if self.directions == "trajectory" and self.balance:
            yield not_allowed(
                f"{key}.balance",
                True,
                "false with directions=trajectory, which is of the weights as they are",
            )
        if self.directions == "trajectory" and not self.at_end:
            yield not_allowed(
                f"{key}.at_end", False, "true with directions=trajectory, whose plane goes through the end"
            )

    def problems_with(self, key: str, config: Config) -> Iterator[str]:  # noqa: D102
        yield from super().problems_with(key, config)
        count = self.fewest_measurements(config.total_steps, config.steps_per_epoch)
        if self.directions == "trajectory" and count < 3:
            yield not_allowed(
                f"{key}.directions",
                "trajectory",
                f"random with {count} measurements: a trajectory has at least 3, set by every_n_steps, "
                "every_n_epochs or log_spaced",
            )


class PruningSettings(CallbackSettings):
    """``callbacks=[pruning]``, which has no schedule: it measures at the end of each cycle."""

    metrics: ClassVar = ("pruning/",)
    in_half: ClassVar = True

    rounds: Annotated[int, whole(1, 1000)] = 4
    rate: Annotated[float, real(above=0, below=1)] = 0.5
    scope: Annotated[str, one_of(("layer", "global"))] = "layer"
    readout_rate: Annotated[float | None, real(0, below=1, null="half of rate")] = None
    rewind_step: Annotated[int, whole(0)] = 0
    control: Annotated[str, one_of(("none", "random", "reinitialize", "random_signs"))] = "none"
    seed: Annotated[int, SEED] = 0
    figures: Annotated[bool, flag()] = True

    def problems(self, key: str) -> Iterator[str]:  # noqa: D102
        if self.readout_rate is not None and self.scope == "global":
            yield not_allowed(f"{key}.readout_rate", self.readout_rate, "null with scope=global")
        if self.control == "reinitialize" and self.rewind_step > 0:
            yield not_allowed(
                f"{key}.rewind_step", self.rewind_step, "0 with control=reinitialize, which draws new weights"
            )

    def problems_with(self, key: str, config: Config) -> Iterator[str]:  # noqa: D102
        yield from super().problems_with(key, config)
        steps, cycles = config.total_steps, self.rounds + 1
        length, rest = divmod(steps - self.rewind_step, cycles)
        if rest or length < 1:
            nearest = self.rewind_step + cycles * max(1, length)
            yield not_allowed(
                f"{key}.rounds",
                self.rounds,
                f"such that the {steps} optimizer steps, but for rewind_step={self.rewind_step}, divide into "
                f"rounds + 1 equal cycles, as those of {nearest} steps do",
            )
        for name in ("train_loss", "patience"):
            value = getattr(config.training.stopping, name)
            if value is not None:
                yield not_allowed(
                    f"training.stopping.{name}", value, f"null with {key}: no cycle may end early"
                )


class CriticalPointsSettings(Schedule):
    """``callbacks=[critical_points]``."""

    metrics: ClassVar = ("critical_points/",)

    noise: Annotated[float, real(0)] = 0.0
    max_steps: Annotated[int, whole(1)] = 500
    tolerance: Annotated[float, real(above=0)] = 1e-8
    random_matrix_samples: Annotated[int | None, whole(1, null="none")] = None

    def problems_with(self, key: str, config: Config) -> Iterator[str]:  # noqa: D102
        yield from super().problems_with(key, config)
        if config.optimizer.name == "adamw" and config.optimizer.weight_decay:
            decay = config.optimizer.weight_decay
            yield not_allowed("optimizer.weight_decay", decay, f"0 with {key} and optimizer.name=adamw")


class LinearPiecesSettings(Schedule):
    """``callbacks=[linear_pieces]``."""

    metrics: ClassVar = ("approximation/",)

    lower: Annotated[float, real()] = 0.0
    upper: Annotated[float, real()] = 1.0

    def problems(self, key: str) -> Iterator[str]:  # noqa: D102
        if not self.lower < self.upper:
            yield not_allowed(f"{key}.lower", self.lower, f"below upper={self.upper}")

    def problems_with(self, key: str, config: Config) -> Iterator[str]:  # noqa: D102
        yield from super().problems_with(key, config)
        if config.data.input_dim != 1:
            yield not_allowed("data.input_dim", config.data.input_dim, f"1 with {key}")


_SETTINGS: Mapping[str, type[CallbackSettings]] = {
    "barrier.Barrier": BarrierSettings,
    "closed_form_risk.IsotropicRisk": IsotropicRiskSettings,
    "closed_form_risk.RandomFeatureRisk": RandomFeatureRiskSettings,
    "critical_points.CriticalPoints": CriticalPointsSettings,
    "geometry.Geometry": GeometrySettings,
    "function.Function": FunctionSettings,
    "hessian.Hessian": HessianSettings,
    "landscape.Landscape": LandscapeSettings,
    "least_squares.LeastSquaresReadout": LeastSquaresSettings,
    "linear_pieces.LinearPiecesCount": LinearPiecesSettings,
    "min_norm.MinimumNorm": MinimumNormSettings,
    "ntk.NTK": NTKSettings,
    "pruning.Pruning": PruningSettings,
    "sharpness.Sharpness": SharpnessSettings,
    "unexplained_variance.UnexplainedVariance": UnexplainedVarianceSettings,
}
SETTINGS = {f"dlexp.callbacks.{name}": settings for name, settings in _SETTINGS.items()}
"""By ``_target_``."""
