"""Readable names of settings and metrics."""

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
