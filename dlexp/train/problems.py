"""What of a configuration cannot be made or does not fit together, found before anything is trained."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pytorch_lightning.loggers import Logger

from dlexp.config.errors import ConfigError, first_line, listed, not_allowed
from dlexp.config.objects import locate, require_arguments
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
from dlexp.train.optimizers import OptimizerSettings, make_optimizer
from dlexp.train.trial import Trial


def find_build_problems(config: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each part of a configuration that cannot be made, without drawing any data."""
    problems: list[str] = []
    makers: tuple[Callable[[Mapping[str, Any]], Any], ...] = (
        make_datamodule,
        make_callbacks,
        try_loggers,
        try_trainer,
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


def try_loggers(config: Mapping[str, Any]) -> None:
    """Find the loggers of a job, without making any: one may make files, or ask a server."""
    for name, settings in config["logger"].items():
        key, target = f"logger.{name}", settings["_target_"]
        arguments = {key: value for key, value in settings.items() if key != "_target_"}
        found = require_arguments(key, target, **arguments, save_dir="")
        if isinstance(found, type) and not issubclass(found, Logger):
            allowed = "a class of pytorch_lightning.loggers.Logger's kind"
            raise ConfigError(not_allowed(f"{key}._target_", target, allowed))


def try_trainer(config: Mapping[str, Any]) -> None:
    """Make a job's Trainer; raises ``ConfigError`` if this machine does not have its accelerator."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    there = {"auto": True, "cpu": True, "cuda": cuda, "mps": mps, "gpu": cuda or mps}
    accelerator = config["trainer"]["accelerator"]
    if not there[accelerator]:
        names = [name for name, is_there in there.items() if is_there]
        raise ConfigError(not_allowed("trainer.accelerator", accelerator, f"{listed(names)} on this machine"))
    make_trainer(config, in_single_steps=False)


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
    locate("model", target)
    try:
        network = make_network(network_settings(config))
    except Exception as error:
        raise ConfigError(f"model._target_={target} cannot be made: {first_line(error)}.") from error
    if not isinstance(network, torch.nn.Module):
        raise ConfigError(not_allowed("model._target_", target, "a class of torch.nn.Module's kind"))
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
    try:
        make_optimizer(network, OptimizerSettings.of(config["optimizer"]))
    except ConfigError:
        raise
    except Exception as error:
        name = config["optimizer"].get("_target_")
        raise ConfigError(f"optimizer._target_={name} cannot be made: {first_line(error)}.") from error


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
