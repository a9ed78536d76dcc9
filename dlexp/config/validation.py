"""Value checks beyond types: every problem of a configuration, each in one sentence, before anything runs."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from typing import Any, get_type_hints

from dlexp.config.schema import Config, TrainerConfig

ACTIVATIONS = ("relu", "tanh", "gelu", "erf", "sigmoid", "linear")
PARAMETRIZATIONS = ("standard", "ntk", "mup")
INITIALIZATIONS = {"standard": ("pytorch", "normal", "xavier"), "ntk": ("normal",), "mup": ("normal",)}
LOSSES = {"regression": ("mse", "half_mse"), "classification": ("cross_entropy",)}
CONSTRUCTED = "dlexp.models.approximants."
OPTIMIZERS = ("sgd", "gradient_descent", "adam", "adamw")
SCHEDULES = ("constant", "cosine", "linear")


class ConfigError(ValueError):
    """A configuration that cannot be run; its message holds one sentence a line."""


def find_problems(config: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each wrong value of a resolved configuration; an empty list if it can run.

    Each sentence names the key, the value and what is allowed.
    """
    unknown = list(_unknown_keys(config, Config, ""))
    if unknown:  # with keys of another shape the other checks could stumble
        return unknown
    return [*_data(config), *_model(config), *_optimizer(config), *_training(config), *_trainer(config)]


def _unknown_keys(config: Mapping[str, Any], schema: type, prefix: str) -> Iterator[str]:
    """Find keys that the schema does not have: Hydra adds them all the same when told to with ``+``."""
    types = _types(schema)
    for key, value in config.items():
        if key not in types:
            # Lightning's Trainer has more arguments than the schema lists; the builder knows which
            if schema is not TrainerConfig:
                yield f"{prefix}{key} is not a key of the configuration; allowed: {', '.join(types)}."
        elif is_dataclass(types[key]) and isinstance(value, Mapping):
            yield from _unknown_keys(value, types[key], f"{prefix}{key}.")


@cache
def _types(schema: type) -> dict[str, Any]:
    return get_type_hints(schema)


Rule = tuple[str, Callable[[Any], bool], str]


def _check(config: Mapping[str, Any], rules: Sequence[Rule]) -> Iterator[str]:
    for key, is_allowed, allowed in rules:
        value: Any = config
        for part in key.split("."):
            value = value[part]
        if value is not None and not is_allowed(value):
            yield f"{key}={value} is not allowed: it must be {allowed}."


def _one_of(allowed: Sequence[str]) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in allowed, f"one of {', '.join(allowed)}"


def _at_least(minimum: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value >= minimum, f"at least {minimum}"


POSITIVE: tuple[Callable[[Any], bool], str] = (
    lambda value: math.isfinite(value) and value > 0,
    "a finite number above 0",
)
NOT_NEGATIVE: tuple[Callable[[Any], bool], str] = (
    lambda value: math.isfinite(value) and value >= 0,
    "a finite number, 0 or above",
)
# torch seeds and numpy seeds agree on this range
SEED: tuple[Callable[[Any], bool], str] = (lambda value: 0 <= value < 2**32, "between 0 and 2^32 - 1")


def _is_whole_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _data(config: Mapping[str, Any]) -> Iterator[str]:
    data = config["data"]
    yield from _check(
        config,
        [
            ("seed", *SEED),
            ("threads", *_at_least(1)),
            ("data.seed", *SEED),
            ("data.order_seed", *SEED),
            ("model.seed", *SEED),
            ("data.n_train", *_at_least(1)),
            ("data.n_test", *_at_least(1)),
            ("data.input_dim", *_at_least(1)),
            ("data.output_dim", *_at_least(1)),
            ("data.noise", *NOT_NEGATIVE),
            ("data.task", *_one_of(tuple(LOSSES))),
        ],
    )
    if "_target_" not in data["generator"]:
        yield "data.generator has no _target_: it must name the function that draws the samples."
    size, test_noise = data["batch_size"], data["test_noise"]
    if not (size == "full" or (_is_whole_number(size) and 1 <= size <= data["n_train"])):
        yield (
            f"data.batch_size={size} is not allowed: it must be full or a whole number between 1 and "
            f"data.n_train={data['n_train']}."
        )
    is_number = isinstance(test_noise, int | float) and not isinstance(test_noise, bool)
    if test_noise is not None and not (is_number and NOT_NEGATIVE[0](test_noise)):
        yield f"data.test_noise={test_noise} is not allowed: it must be null (as data.noise) or 0 or above."
    if data["task"] == "classification" and not data["noise"] <= 1:
        yield f"data.noise={data['noise']} is not allowed: for labels it is a probability, at most 1."


def _model(config: Mapping[str, Any]) -> Iterator[str]:
    model = config["model"]
    yield from _check(
        config,
        [
            ("model.width", *_at_least(1)),
            ("model.depth", *_at_least(0)),
            ("model.budget", *_at_least(1)),
            ("model.activation", *_one_of(ACTIVATIONS)),
            ("model.parametrization", *_one_of(PARAMETRIZATIONS)),
            ("model.weight_std", *POSITIVE),
            ("model.bias_std", *NOT_NEGATIVE),
            ("model.readout_weight_std", *NOT_NEGATIVE),
            ("model.base_width", *_at_least(1)),
        ],
    )
    if model["width"] is not None and model["budget"] is not None:
        yield (
            f"model.width={model['width']} and model.budget={model['budget']} are both set: "
            "the budget determines the width, so one of them must be null."
        )
    if model["budget"] is not None:
        for key in ("depth", "bias"):
            if model[key] is None:
                yield f"model.{key}=null is not allowed: model.budget={model['budget']} needs it."
        if model["readout_bias"] not in (None, model["bias"]):
            yield (
                f"model.readout_bias={model['readout_bias']} is not allowed: model.budget={model['budget']} "
                "is solved for biases in all layers or none."
            )
    precision = config["trainer"]["precision"]
    if model["_target_"].startswith(CONSTRUCTED) and precision not in ("64-true", "64", 64):
        yield (
            f"trainer.precision={precision} is not allowed: the constructed network {model['_target_']} "
            "needs 64-true."
        )
    allowed = INITIALIZATIONS.get(model["parametrization"])
    if allowed and model["initialization"] is not None and model["initialization"] not in allowed:
        yield (
            f"model.initialization={model['initialization']} is not allowed: with "
            f"model.parametrization={model['parametrization']} it must be one of {', '.join(allowed)}."
        )


def _optimizer(config: Mapping[str, Any]) -> Iterator[str]:
    optimizer = config["optimizer"]
    yield from _check(
        config,
        [
            ("optimizer.name", *_one_of(OPTIMIZERS)),
            ("optimizer.lr", *POSITIVE),
            ("optimizer.momentum", lambda value: 0 <= value < 1, "0 or above and below 1"),
            ("optimizer.betas", lambda betas: all(0 <= b < 1 for b in betas), "two numbers in [0, 1)"),
            ("optimizer.weight_decay", *NOT_NEGATIVE),
            ("optimizer.schedule", *_one_of(SCHEDULES)),
        ],
    )
    if optimizer["name"] == "gradient_descent" and config["data"]["batch_size"] != "full":
        yield (
            f"data.batch_size={config['data']['batch_size']} is not allowed: "
            "optimizer.name=gradient_descent needs data.batch_size=full."
        )
    if optimizer["name"] != "sgd" and optimizer["momentum"] != 0:
        yield (
            f"optimizer.momentum={optimizer['momentum']} is not allowed: "
            f"optimizer.name={optimizer['name']} has no momentum, so it must be 0."
        )


def _training(config: Mapping[str, Any]) -> Iterator[str]:
    yield from _check(
        config,
        [
            ("training.log_points.spacing", *_one_of(("log", "linear"))),
            ("training.log_points.per_decade", *_at_least(1)),
            ("training.log_points.every_n_steps", *_at_least(1)),
            ("training.stopping.train_loss", *NOT_NEGATIVE),
            ("training.stopping.patience", *_at_least(1)),
            ("training.stopping.min_delta", *NOT_NEGATIVE),
            ("training.stopping.check_every_n_steps", *_at_least(1)),
        ],
    )
    task, loss = config["data"]["task"], config["training"]["loss"]
    if task in LOSSES and loss not in LOSSES[task]:
        yield (
            f"training.loss={loss} is not allowed: with data.task={task} it must be one of "
            f"{', '.join(LOSSES[task])}."
        )


def _trainer(config: Mapping[str, Any]) -> Iterator[str]:
    trainer = config["trainer"]
    epochs, steps = trainer["max_epochs"], trainer["max_steps"]
    unlimited = (None, -1)
    if epochs in unlimited and steps in unlimited:
        yield (
            f"trainer.max_epochs={epochs} and trainer.max_steps={steps} leave training without an end: "
            "at least one of them must be a number."
        )
    for key, value in (("max_epochs", epochs), ("max_steps", steps)):
        if value not in unlimited and value < 0:
            yield f"trainer.{key}={value} is not allowed: it must be 0 or above, or -1 for no limit."
    devices = trainer["devices"]
    if not (devices == "auto" or (_is_whole_number(devices) and devices >= 1)):
        yield (
            f"trainer.devices={devices} is not allowed: it must be auto or a number, at least 1, of devices "
            "that a sweep spreads its jobs over (one job trains on one)."
        )
