"""What of a configuration cannot be made or does not fit together, found before anything is trained."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch

from dlexp.config.errors import ConfigError, first_line
from dlexp.losses import CLASSIFICATION
from dlexp.losses import find as find_loss
from dlexp.seeding import GlobalRandomState
from dlexp.train.build import (
    make_callbacks,
    make_datamodule,
    make_order,
    make_plan,
    make_trainer,
    network_settings,
    optimizer_settings,
)
from dlexp.train.network import evaluation_mode, make_network
from dlexp.train.trial import Trial


def find_build_problems(config: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each part of a configuration that cannot be made, without drawing any data."""
    problems: list[str] = []
    makers: tuple[Callable[[Mapping[str, Any]], Any], ...] = (
        make_datamodule,
        make_callbacks,
        functools.partial(make_trainer, in_single_steps=False),
        try_network,
    )
    with GlobalRandomState(config["seed"]).active():
        for maker in makers:
            try:
                maker(config)
            except Exception as error:  # a user's own class can raise anything
                problems += str(error).splitlines()
        if not problems:
            problems += callback_problems(config)
    return problems


def try_network(config: Mapping[str, Any]) -> None:
    """Make a job's network and its loss on two rows; raises ``ConfigError`` if they do not go together."""
    data = config["data"]
    target = config["model"]["_target_"]
    loss = find_loss(config["training"]["loss"])
    if data["task"] not in loss.tasks:
        raise ConfigError(
            f"training.loss={config['training']['loss']} is not allowed: it must be a loss with "
            f"data.task={data['task']}."
        )
    try:
        network = make_network(network_settings(config))
    except Exception as error:
        raise ConfigError(f"model cannot be made: {first_line(error)}.") from error
    # As Lightning converts it; half precision is not known everywhere, and shapes are the same in float32.
    dtype = torch.float64 if str(config["trainer"]["precision"]).startswith("64") else torch.float32
    network.to(dtype)
    x = torch.zeros(2, data["input_dim"], dtype=dtype)
    labels = CLASSIFICATION in loss.tasks
    y = torch.zeros(2, dtype=torch.int64) if labels else x.new_zeros(2, data["output_dim"])
    try:
        with torch.no_grad(), evaluation_mode(network):
            outputs = network(x)
        if not isinstance(outputs, torch.Tensor):
            raise ValueError(f"it returns a {type(outputs).__name__}, where a tensor is expected")
        if outputs.shape != (2, data["output_dim"]):
            raise ValueError(
                f"on inputs {tuple(x.shape)} it returns {tuple(outputs.shape)}, where targets ask for "
                f"{(2, data['output_dim'])}"
            )
        loss(outputs, y)
    except Exception as error:
        raise ConfigError(f"model._target_={target} is not allowed: {first_line(error)}.") from error


def callback_problems(config: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each callback of dlexp's that cannot do its work with a job's network."""
    callbacks = [callback for callback in make_callbacks(config) if hasattr(callback, "find_problems")]
    if not callbacks:
        return []
    order, data = make_order(config), config["data"]
    trial = Trial(
        network_settings(config),
        loss=config["training"]["loss"],
        optimizer=optimizer_settings(config),
        order=order,
        plan=make_plan(config, order),
        clip=(1.0, "norm") if config["trainer"].get("gradient_clip_val") else None,
    )
    trial.place_rows(data["input_dim"], data["output_dim"])
    return [problem for callback in callbacks for problem in callback.find_problems(trial)]
