"""Settings that follow from others: null in YAML, filled here, so that a job is plain data."""

from typing import Any

from dlexp.config.callbacks import SETTINGS
from dlexp.config.identity import current_target
from dlexp.config.least_squares import ClosedFormRiskSettings
from dlexp.config.names import LAWS
from dlexp.losses import DEFAULT_LOSSES

REAL_NUMBERS = (
    "data.noise",
    "model.weight_std",
    "model.bias_std",
    "model.readout_weight_std",
    "optimizer.lr",
    "optimizer.momentum",
    "optimizer.betas",
    "optimizer.weight_decay",
    "training.stopping.train_loss",
    "training.stopping.min_delta",
    "trainer.gradient_clip_val",
)
"""Where a whole number stands for the real one, ``optimizer.lr=1`` for 1.0. A job's identity depends on how
these are written, so that nothing is ever added here."""


def fill(plain: dict[str, Any]) -> dict[str, Any]:
    """Fill in place every setting of a job that is null and follows from others; return the same object.

    ==================================  ==================================================================
    setting                             follows from
    ==================================  ==================================================================
    data.seed, model.seed, order_seed   seed
    training.loss                       data.task
    data.generator's own                data.input_dim, data.output_dim (classes), data.seed
    callbacks' seed                     seed
    the closed-form risks' own          data and callbacks.least_squares
    ==================================  ==================================================================

    Callbacks and loggers that are null are left out. What is not of the expected shape is left as it is, for
    the checks to name.
    """
    for key in REAL_NUMBERS:
        path, _, last = key.rpartition(".")
        section = _section(plain, path)
        if last in section:
            section[last] = _as_real(section[last])
    if isinstance(plain.get("name"), int):
        plain["name"] = str(plain["name"])  # name=2026 is a name all the same
    data, seed = _section(plain, "data"), plain.get("seed")
    _set(data, {"seed": seed, "order_seed": seed})
    _set(_section(plain, "model"), {"seed": seed})
    loss = DEFAULT_LOSSES.get(str(data.get("task")))
    if loss:
        _set(_section(plain, "training"), {"loss": loss})
    _fill_generator(_section(plain, "data.generator"), data)
    optimizer = _section(plain, "optimizer")
    for key in ("_target_", "options"):  # of an optimizer by its class only
        if optimizer.get(key, key) is None:
            del optimizer[key]
    for group in ("callbacks", "logger"):
        chosen = _section(plain, group)
        for name in [name for name, settings in chosen.items() if settings is None]:
            del chosen[name]
    for settings in _section(plain, "callbacks").values():
        if isinstance(settings, dict):
            _fill_callback(settings, plain)
    return plain


def _fill_generator(settings: dict[str, Any], data: dict[str, Any]) -> None:
    """Give one of dlexp's laws the sizes and the seed of its data set."""
    if current_target(settings.get("_target_")) not in LAWS:
        return
    seed = data.get("seed")
    _set(
        settings,
        {
            "input_dim": data.get("input_dim"),
            "classes": data.get("output_dim"),
            "teacher_seed": seed,
            "center_seed": seed,
        },
        only_null=True,
    )


def _fill_callback(settings: dict[str, Any], plain: dict[str, Any]) -> None:
    """Give one of dlexp's callbacks its seed, and what the formula of a risk is about."""
    target = current_target(settings.get("_target_"))
    if target not in SETTINGS:
        return
    if issubclass(SETTINGS[target], ClosedFormRiskSettings):
        data, law = _section(plain, "data"), _section(plain, "data.generator")
        least_squares = _section(plain, "callbacks.least_squares")
        follows = {
            "noise": data.get("noise"),
            "test_noise": data.get("test_noise"),
            "teacher_dim": law.get("teacher_dim"),
            "seed": law.get("teacher_seed", 0),
            "ridge": least_squares.get("ridge", 0.0),
        }
    else:
        follows = {"seed": plain.get("seed")}
    _set(settings, follows, only_null=True)


def _set(section: dict[str, Any], values: dict[str, Any], *, only_null: bool = False) -> None:
    """Set what is null in a section; what is absent too, unless ``only_null``."""
    for key, value in values.items():
        if section.get(key) is None and (key in section or not only_null):
            section[key] = value


def _section(plain: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the mapping at a dotted path, an empty one to be thrown away if there is none."""
    section: Any = plain
    for name in path.split("."):
        section = section.get(name) if isinstance(section, dict) else None
    return section if isinstance(section, dict) else {}


def _as_real(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_real(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
