"""The names that settings may take, and the settings that dlexp's own models and laws take.

Plain tables, so that a configuration is checked without importing torch; tests compare them with the code
that they are of.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dlexp.config.kinds import SEED, Kind, flag, one_of, real, whole
from dlexp.losses import LOSSES, TASKS

LOSSES_OF = {task: tuple(name for name, loss in LOSSES.items() if task in loss.tasks) for task in TASKS}
"""By task, the losses that can be trained; the first is the default."""
SQUARED_ERRORS = ("mse", "half_mse")
OPTIMIZERS = ("sgd", "gradient_descent", "adam", "adamw")
SCHEDULES = ("constant", "cosine", "linear")
ACTIVATIONS = ("relu", "tanh", "gelu", "erf", "sigmoid", "linear")
PARAMETRIZATIONS = ("standard", "ntk", "mup")
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
PROFILERS = ("simple", "advanced", "pytorch")
PRECISIONS = (
    *("32-true", "64-true", "16-true", "bf16-true", "16-mixed", "bf16-mixed"),
    *("32", "64", "16", "bf16", 32, 64, 16),
)


@dataclass(frozen=True)
class Family:
    """A class of models: which settings it takes, and which of them it cannot do without."""

    takes: tuple[str, ...]
    needs: tuple[str, ...] = ()
    initializations: tuple[str, ...] = ()
    in_double: bool = False  # needs float64
    deepest: int = 10**4


MLP = "dlexp.models.mlp.MLP"
RANDOM_FEATURES = "dlexp.models.random_features.RandomFeatures"
LINEAR = "dlexp.models.linear.Linear"
_MLP_SETTINGS = (
    *("width", "depth", "budget", "activation", "bias", "readout_bias", "parametrization", "initialization"),
    *("weight_std", "bias_std", "random_bias", "readout_weight_std", "base_width"),
)
FAMILIES: Mapping[str, Family] = {
    MLP: Family(_MLP_SETTINGS, ("depth",), ("pytorch", "normal", "xavier")),
    LINEAR: Family(("bias", "initialization"), (), ("zeros", "pytorch")),
    RANDOM_FEATURES: Family(
        ("width", "activation", "bias", "initialization"), ("width",), ("zeros", "normal")
    ),
    "dlexp.models.convolutional.Conv1d": Family(("width", "depth", "activation")),
    "dlexp.models.convolutional.CNN": Family(("width", "depth", "activation")),
    "dlexp.models.residual.ResidualMLP": Family(("width", "depth", "activation")),
    "dlexp.models.recurrent.GRU": Family(("width", "depth")),
    "dlexp.models.transformer.Transformer": Family(("width", "depth", "activation")),
    "dlexp.models.approximants.bumps": Family(("width",), ("width",), in_double=True),
    "dlexp.models.approximants.tent_map": Family(("depth",), ("depth",), in_double=True),
    "dlexp.models.approximants.shallow_tent_map": Family(
        ("depth",),
        ("depth",),
        in_double=True,
        deepest=20,  # of its 2^depth units
    ),
}
INITIALIZATIONS_OF = {"standard": ("pytorch", "normal", "xavier"), "ntk": ("normal",), "mup": ("normal",)}


@dataclass(frozen=True)
class Law:
    """A law that samples are drawn from: its settings and the shapes that it has."""

    settings: Mapping[str, Kind] = field(default_factory=dict)
    task: str = "regression"
    input_dim: int | None = None  # None: as many as the configuration says
    output_dim: int | None = 1
    least_inputs: int = 1
    rows: int | None = None  # of both sets together; None: as many as asked for


_INPUTS: Mapping[str, Kind] = {"input_dim": whole(1, 10**6)}
_GENERATORS = "dlexp.data.generators"
LINEAR_TEACHER = f"{_GENERATORS}.linear_teacher"
LAWS: Mapping[str, Law] = {
    f"{_GENERATORS}.{name}": law
    for name, law in {
        "additive": Law(_INPUTS),
        "chebyshev": Law({"degree": whole(0, 10**6)}, input_dim=1),
        "compositional": Law({**_INPUTS, "standardize": flag()}),
        "damped_wave": Law(input_dim=1),
        "damped_wave_grid": Law(input_dim=1),
        "digits": Law(task="classification", input_dim=64, output_dim=10, rows=1797),
        "gaussian_mixture": Law(
            {**_INPUTS, "classes": whole(2, 10**6), "center_std": real(0), "center_seed": SEED},
            task="classification",
            output_dim=None,
        ),
        "linear_teacher": Law(
            {**_INPUTS, "teacher_dim": whole(1, 10**6, null="data.input_dim"), "teacher_seed": SEED}
        ),
        "parity": Law({**_INPUTS, "bits": whole(1, 10**6)}, task="classification", output_dim=2),
        "plane_wave": Law(_INPUTS),
        "radial": Law(_INPUTS),
        "sine_all": Law(_INPUTS),
        "sine_cosine": Law(_INPUTS, least_inputs=2),
        "sine_first": Law(_INPUTS),
        "sine_sum": Law(_INPUTS, least_inputs=3),
        "sphere": Law({**_INPUTS, "target": one_of(("sine_of_sum", "sine_times_linear"))}, least_inputs=2),
        "tent": Law({"compositions": whole(1, 1000)}, input_dim=1),
    }.items()
}
