"""The configuration of one job, typed and plain: every setting with what it may be.

``conf/base.yaml`` holds the same keys with their defaults. What follows from other settings (a part's seed,
the loss of a task) stands there as null and is filled by :func:`dlexp.config.fill.fill`, so that a ``Config``
holds no setting that is still to be derived. ``python -m dlexp.config.schema`` prints the JSON schema.
"""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from dlexp.config.kinds import (
    LARGEST,
    SEED,
    TARGET,
    dotted_name,
    flag,
    keys,
    list_of,
    one_of,
    one_of_or,
    real,
    text,
    whole,
)
from dlexp.config.names import (
    ACCELERATORS,
    ACTIVATIONS,
    OPTIMIZERS,
    PARAMETRIZATIONS,
    PRECISIONS,
    PROFILERS,
    SCHEDULES,
)
from dlexp.losses import LOSSES, TASKS

NAME = text(
    "a folder's name, or several joined by /, none of them '..'",
    r"(?!\.\.?(/|$))[^/\0]+(/(?!\.\.?(/|$))[^/\0]+)*",
)
DURATION = r"\d+:\d\d:\d\d:\d\d"


class Section(BaseModel):
    """A group of settings that cannot be changed and has no others."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, protected_namespaces=())


class DataConfig(Section):
    """Where the samples come from (``conf/data``)."""

    generator: Annotated[dict[str, Any], keys()]  # _target_ of the law, and its settings
    input_dim: Annotated[int, whole(1, 10**6)]
    output_dim: Annotated[int, whole(1, 10**6)]  # targets of a regression, classes of a classification
    task: Annotated[str, one_of(TASKS)]
    n_train: Annotated[int, whole(1)]
    n_test: Annotated[int, whole(1)]
    noise: Annotated[float, real(0)]
    test_noise: Annotated[float | None, real(0, null="as data.noise")] = None
    batch_size: Annotated[int | str, one_of_or(("full",), whole(1))] = "full"
    seed: Annotated[int, SEED]
    order_seed: Annotated[int, SEED]


class ModelConfig(Section):
    """The network (``conf/model``). None leaves a setting to the default of ``_target_``."""

    target: Annotated[str, TARGET] = Field(alias="_target_")
    width: Annotated[int | None, whole(1, 10**7, null="the model's default")] = None
    depth: Annotated[int | None, whole(0, 10**4, null="the model's default")] = None
    budget: Annotated[int | None, whole(1, null="model.width")] = (
        None  # parameters that widths are solved for
    )
    activation: Annotated[str | None, one_of(ACTIVATIONS, null="the model's default")] = None
    bias: Annotated[bool | None, flag(null="the model's default")] = None
    readout_bias: Annotated[bool | None, flag(null="as model.bias")] = None
    parametrization: Annotated[str | None, one_of(PARAMETRIZATIONS, null="the model's default")] = None
    initialization: Annotated[str | None, text(null="the model's default")] = None
    weight_std: Annotated[float | None, real(above=0, null="the activation's gain")] = None
    bias_std: Annotated[float | None, real(0, null="the model's default")] = None
    random_bias: Annotated[bool | None, flag(null="the model's default")] = None
    readout_weight_std: Annotated[float | None, real(0, null="the model's default")] = None
    base_width: Annotated[int | None, whole(1, 10**7, null="the model's default")] = None
    options: Annotated[dict[str, Any], keys()] = {}  # further arguments of a model of one's own
    seed: Annotated[int, SEED]


class OptimizerConfig(Section):
    """The optimizer and its learning-rate schedule (``conf/optimizer``): by name, or by ``_target_``."""

    name: Annotated[str | None, one_of(OPTIMIZERS, null="optimizer._target_")] = None
    target: Annotated[str | None, dotted_name(null="optimizer.name")] = Field(None, alias="_target_")
    options: Annotated[dict[str, Any] | None, keys(null="none")] = None  # further arguments of _target_
    lr: Annotated[float, real(above=0)]
    momentum: Annotated[float, real(0, below=1)] = 0.0
    nesterov: Annotated[bool | None, flag(null="false")] = None
    betas: Annotated[list[float], list_of(real(0, below=1), 2)] = [0.9, 0.999]
    weight_decay: Annotated[float, real(0)] = 0.0
    schedule: Annotated[str, one_of(SCHEDULES)] = "constant"


class LogPointsConfig(Section):
    """At which steps losses are evaluated and logged: the start and the end always, and these between."""

    spacing: Annotated[str, one_of(("log", "linear"))] = "log"
    per_decade: Annotated[int, whole(1, 1000)] = 10
    every_n_steps: Annotated[int, whole(1)] = 100


class StoppingConfig(Section):
    """When training has converged; checked every ``check_every_n_steps`` steps on the whole training set."""

    train_loss: Annotated[float | None, real(0, null="never")] = 1e-7
    patience: Annotated[int | None, whole(1, null="never")] = None
    min_delta: Annotated[float, real(0)] = 0.0
    check_every_n_steps: Annotated[int, whole(1)] = 50


class TrainingConfig(Section):
    """What is minimised and how, when it is looked at, when it is done."""

    loss: Annotated[str, one_of_or(tuple(LOSSES), TARGET)]
    engine: Annotated[str, one_of(("auto", "loop", "stack", "replay"))] = "auto"
    log_points: LogPointsConfig = LogPointsConfig()
    stopping: StoppingConfig = StoppingConfig()
    checkpoint: Annotated[bool, flag()] = True


class TrainerConfig(Section):
    """The arguments of ``pytorch_lightning.Trainer`` whose meaning dlexp keeps; no other can be set."""

    max_epochs: Annotated[int | None, whole(-1, null="no limit")] = None
    max_steps: Annotated[int, whole(-1)] = 4000
    min_epochs: Annotated[int | None, whole(0, null="none")] = None
    min_steps: Annotated[int | None, whole(0, null="none")] = None
    max_time: Annotated[str | None, text("a time DD:HH:MM:SS", DURATION, null="no limit")] = None
    accelerator: Annotated[str, one_of(ACCELERATORS)] = "auto"
    devices: Annotated[int | str, one_of_or(("auto",), whole(1, 10**4))] = 1
    precision: Annotated[int | str, one_of(PRECISIONS)] = "32-true"
    deterministic: Annotated[bool | str | None, one_of_or(("warn",), flag(), null="Lightning's default")] = (
        None
    )
    benchmark: Annotated[bool | None, flag(null="Lightning's default")] = None
    detect_anomaly: Annotated[bool, flag()] = False
    gradient_clip_val: Annotated[float | None, real(above=0, null="no clipping")] = None
    gradient_clip_algorithm: Annotated[str | None, one_of(("norm", "value"), null="norm")] = None
    accumulate_grad_batches: Annotated[int, whole(1)] = 1
    profiler: Annotated[str | None, one_of(PROFILERS, null="none")] = None


class Config(Section):
    """One job: one configuration, one seed, one result."""

    name: Annotated[str, NAME]
    arm: Annotated[str | None, text(null="no arm")] = None  # of a study's sweeps, the one of the job
    seed: Annotated[int, SEED]
    rerun: Annotated[bool, flag()] = False
    threads: Annotated[int, whole(1, 1024)] = 1
    objective: Annotated[str, text("the name of a metric")] = "test/loss"
    records: Annotated[str, one_of(("full", "lean"))] = "full"
    snapshot_minutes: Annotated[float | None, real(0, null="never")] = 5.0
    data: DataConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    training: TrainingConfig
    trainer: TrainerConfig
    logger: Annotated[dict[str, Any], keys()] = {}
    callbacks: Annotated[dict[str, Any], keys()] = {}

    @classmethod
    def check(cls, plain: Mapping[str, Any]) -> "Config":
        """Return the typed configuration of plain data, what follows from other settings filled in.

        Raises ``ConfigError`` with a sentence for each problem.
        """
        from dlexp.config.check import check

        return check(plain)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of one pass over the training set."""
        return steps_per_epoch(self.data.n_train, self.data.batch_size, self.trainer.accumulate_grad_batches)

    @property
    def total_steps(self) -> int:
        """The number of optimizer steps that the Trainer's two limits allow."""
        return total_steps(self.steps_per_epoch, self.trainer.max_epochs, self.trainer.max_steps)


def steps_per_epoch(n_train: int, batch_size: int | str, accumulate_grad_batches: int = 1) -> int:
    """Return the optimizer steps of one pass: of its last batches, fewer are accumulated.

    >>> steps_per_epoch(100, 30, 3)
    2
    """
    batches = 1 if batch_size == "full" else math.ceil(n_train / int(batch_size))
    return math.ceil(batches / accumulate_grad_batches)


def total_steps(steps_per_epoch: int, max_epochs: int | None, max_steps: int) -> int:
    """Return the number of optimizer steps that two limits allow (None or -1: no limit)."""
    limits = [LARGEST**2]
    if max_epochs not in (None, -1):
        limits.append(int(max_epochs or 0) * steps_per_epoch)
    if max_steps != -1:
        limits.append(max_steps)
    return min(limits)


if __name__ == "__main__":
    print(json.dumps(Config.model_json_schema(by_alias=True), indent=1))
