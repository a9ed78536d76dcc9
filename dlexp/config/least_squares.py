"""The settings of callbacks that solve for a readout, measure how near training comes, or know its risk."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from dlexp.config.errors import not_allowed
from dlexp.config.kinds import SEED, real, whole
from dlexp.config.names import LINEAR_TEACHER, RANDOM_FEATURES, SQUARED_ERRORS
from dlexp.config.schedule import CallbackSettings, Schedule
from dlexp.config.schema import Config


class SquaredErrorSettings(CallbackSettings):
    """What holds for least squares only."""

    def problems_with(self, key: str, config: Config) -> Iterator[str]:  # noqa: D102
        yield from super().problems_with(key, config)
        if config.training.loss not in SQUARED_ERRORS:
            yield not_allowed(
                "training.loss", config.training.loss, f"{' or '.join(SQUARED_ERRORS)} with {key}"
            )


class LeastSquaresSettings(SquaredErrorSettings):
    """``callbacks=[least_squares]``."""

    metrics: ClassVar = ("least_squares/",)

    ridge: Annotated[float, real(0)] = 0.0


class MinimumNormSettings(SquaredErrorSettings, Schedule):
    """``callbacks=[min_norm]``."""

    metrics: ClassVar = ("min_norm/",)


class UnexplainedVarianceSettings(Schedule):
    """``callbacks=[unexplained_variance]``."""

    metrics: ClassVar = ("test/unexplained_variance",)
    in_half: ClassVar = True

    def problems_with(self, key: str, config: Config) -> Iterator[str]:  # noqa: D102
        yield from super().problems_with(key, config)
        if config.data.task != "regression":
            yield not_allowed("data.task", config.data.task, f"regression with {key}")


class ClosedFormRiskSettings(CallbackSettings):
    """The risk of a formula that holds for a linear teacher."""

    metrics: ClassVar = ("risk/",)
    in_half: ClassVar = True

    noise: Annotated[float, real(0)]
    test_noise: Annotated[float | None, real(0, null="as noise")] = None

    def problems_with(self, key: str, config: Config) -> Iterator[str]:  # noqa: D102
        yield from super().problems_with(key, config)
        law = config.data.generator.get("_target_")
        if law != LINEAR_TEACHER:
            yield not_allowed("data.generator._target_", law, f"{LINEAR_TEACHER} with {key}")


class IsotropicRiskSettings(ClosedFormRiskSettings):
    """``callbacks=[isotropic_risk]``."""

    teacher_dim: Annotated[int | None, whole(1, null="data.input_dim")] = None
    seed: Annotated[int, SEED] = 0


class RandomFeatureRiskSettings(ClosedFormRiskSettings):
    """``callbacks=[random_feature_risk]``: of a readout solved for, not trained."""

    ridge: Annotated[float, real(0)] = 0.0

    def problems_with(self, key: str, config: Config) -> Iterator[str]:  # noqa: D102
        yield from super().problems_with(key, config)
        if config.model.target != RANDOM_FEATURES and config.total_steps > 0:
            limit = config.trainer.max_steps
            yield not_allowed(
                "trainer.max_steps", limit, f"0 with {key}: features that are trained are not random"
            )
        targets = [settings.get("_target_") for settings in config.callbacks.values()]
        if "dlexp.callbacks.least_squares.LeastSquaresReadout" not in targets:
            chosen = f"[{','.join(config.callbacks)}]"
            yield not_allowed("callbacks", chosen, f"a list with least_squares, which {key} is the risk of")
