"""Readable names of settings and metrics, and numbers as people write them."""

import math
from collections.abc import Sequence
from typing import Any

# short name for titles and legends, longer one for axes
_SETTINGS = {
    "model.width": ("width", "width (hidden units per layer)"),
    "model.depth": ("depth", "depth (hidden layers)"),
    "model.budget": ("parameter budget", "parameter budget"),
    "model.weight_std": ("weight scale", "standard deviation of the initial weights"),
    "model._target_": ("model", "model"),
    "data.generator._target_": ("data", "data"),
    "data.n_train": ("training samples", "training samples"),
    "data.input_dim": ("input dimension", "input dimension"),
    "data.noise": ("noise", "noise in the targets (standard deviation)"),
    "data.batch_size": ("batch size", "batch size"),
    "optimizer.lr": ("learning rate", "learning rate"),
    "optimizer.weight_decay": ("weight decay", "weight decay"),
    "trainer.max_epochs": ("epochs", "epochs"),
    "trainer.max_steps": ("steps", "training steps"),
}
_METRICS = {
    "train/loss": "training loss",
    "test/loss": "test loss",
    "train/error": "training error",
    "test/error": "test error",
    "model/parameters": "parameters",
}


def setting_name(key: str) -> str:
    """Return what a setting is called in a title or a legend."""
    return _SETTINGS[key][0] if key in _SETTINGS else key.rsplit(".", 1)[-1].replace("_", " ").strip()


def setting_names(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return `setting_name` of each key; two keys that would share a name keep their full ones."""
    names = [setting_name(key) for key in keys]
    return tuple(key if names.count(name) > 1 else name for key, name in zip(keys, names, strict=True))


def axis_name(key: str) -> str:
    """Return what a setting is called along an axis."""
    return _SETTINGS[key][1] if key in _SETTINGS else setting_name(key)


def metric_name(metric: str) -> str:
    """Return what a metric is called in a table or along an axis."""
    return _METRICS.get(metric, metric.replace("/", " ").replace("_", " "))


def value_text(value: Any, digits: int = 4) -> str:
    """Return a setting's value as short text, a fraction with so many significant digits."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e+")
    return str(value)


def value_texts(values: Sequence[Any]) -> list[str]:
    """Return `value_text` of each value, with as many digits as tell different ones apart."""
    for digits in range(4, 17):
        texts = [value_text(value, digits) for value in values]
        if len(set(texts)) == len(set(values)):
            return texts
    return [str(value) for value in values]


def estimate_text(mean: float, half_width: float, sign: str = "±") -> str:
    """Return ``mean ± half_width``: two digits of the half-width, or three of a mean that has none."""
    if not math.isfinite(mean):
        return "-"
    has_width = math.isfinite(half_width)
    size = max(abs(mean), half_width) if has_width else abs(mean)
    exponent = math.floor(math.log10(size)) if size else 0
    # Beyond these the zeros would have to be counted.
    scaled = not -3 <= exponent < 5
    factor = 10.0**exponent if scaled else 1.0
    mean, half_width, size = mean / factor, half_width / factor, size / factor
    power = f"e{exponent}" if scaled else ""
    if not has_width:
        return f"{mean:.{_decimals(size, 3)}f}{power}"
    # Four digits say enough of a mean whose interval is narrower still.
    places = min(_decimals(half_width, 2), _decimals(size, 4)) if half_width else _decimals(size, 3)
    text = f"{mean:.{places}f} {sign} {half_width:.{places}f}"
    return f"({text}){power}" if scaled else text


def _decimals(value: float, digits: int) -> int:
    """Return how many decimals show `digits` significant digits of a value."""
    return max(0, digits - 1 - math.floor(math.log10(value))) if value else digits - 1
