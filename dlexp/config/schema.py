"""The typed schema of a job's configuration: what Hydra checks names and types against.

Defaults live in ``conf/``; a field without a default is one that every composed configuration must set.
"""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class DataConfig:
    """Where the samples come from (``conf/data``)."""

    generator: dict[str, Any] = MISSING  # _target_ of the law, and its settings
    input_dim: int = MISSING
    output_dim: int = MISSING  # targets of a regression, classes of a classification
    task: str = MISSING  # regression or classification
    n_train: int = MISSING
    n_test: int = MISSING
    noise: float = MISSING
    test_noise: Any = None  # None: as noise; a number: that much; 0: clean test targets
    batch_size: Any = MISSING  # a number, or full
    seed: int = MISSING
    order_seed: int = MISSING


@dataclass
class ModelConfig:
    """The network (``conf/model``). ``None`` leaves a key to the default of ``_target_``."""

    _target_: str = MISSING
    width: int | None = None
    depth: int | None = None
    budget: int | None = None  # solve the widths for this number of parameters instead of setting width
    activation: str | None = None
    bias: bool | None = None
    readout_bias: bool | None = None
    parametrization: str | None = None
    initialization: str | None = None
    weight_std: float | None = None
    bias_std: float | None = None
    random_bias: bool | None = None
    readout_weight_std: float | None = None
    base_width: int | None = None
    options: dict[str, Any] = field(default_factory=dict)  # further arguments of a model of one's own
    seed: int = MISSING


@dataclass
class OptimizerConfig:
    """The optimizer and its learning-rate schedule (``conf/optimizer``)."""

    name: str = MISSING
    lr: float = MISSING
    momentum: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: str = "constant"


@dataclass
class LogPointsConfig:
    """At which steps losses are evaluated and logged: the start and the end always, and these between."""

    spacing: str = "log"  # log: per_decade points in each factor of ten; linear: every n_steps
    per_decade: int = 10
    every_n_steps: int = 100


@dataclass
class StoppingConfig:
    """When training has converged; checked every ``check_every_n_steps`` steps on the whole training set."""

    train_loss: float | None = None  # stop below this training loss
    patience: int | None = None  # stop after this many steps without progress
    min_delta: float = 0.0  # relative decrease of the training loss that counts as progress
    check_every_n_steps: int = 50


@dataclass
class TrainingConfig:
    """What is minimised, when it is looked at, when it is done."""

    loss: str = MISSING
    log_points: LogPointsConfig = field(default_factory=LogPointsConfig)
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    checkpoint: bool = True  # keep the trained network in checkpoints/last.ckpt


@dataclass
class TrainerConfig:
    """Arguments of ``pytorch_lightning.Trainer``; the ones that dlexp sets itself are left out."""

    max_epochs: int | None = None
    max_steps: int = -1
    min_epochs: int | None = None
    min_steps: int | None = None
    max_time: Any = None
    accelerator: str = "auto"
    devices: Any = 1
    precision: Any = "32-true"
    deterministic: Any = None
    benchmark: bool | None = None
    detect_anomaly: bool = False
    gradient_clip_val: float | None = None
    gradient_clip_algorithm: str | None = None
    accumulate_grad_batches: int = 1
    profiler: str | None = None


@dataclass
class Config:
    """One job: one configuration, one seed, one result."""

    name: str = MISSING
    arm: str | None = None  # of a study's sweeps, the one that the job belongs to
    seed: int = MISSING
    rerun: bool = False
    threads: int = 1
    objective: str = "test/loss"
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)
    study: dict[str, Any] = field(default_factory=dict)  # what a sweep asks (conf/study); no job sees it
