"""From a job's configuration to plain Python objects: the last place that sees a configuration."""

import copy
import functools
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_method, instantiate
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.loggers import Logger

from dlexp.config.validation import ConfigError
from dlexp.data.datamodule import SyntheticDataModule
from dlexp.data.generators.fixed import does_draw_both_sets
from dlexp.models.budget import widths_for_budget
from dlexp.training.evaluation import Convergence, Evaluation
from dlexp.training.hooks import reason_for_single_steps
from dlexp.training.module import SupervisedModule, make_network
from dlexp.training.plan import Blocks, Plan, count_steps, evenly_spaced_steps, log_spaced_steps
from dlexp.training.recorder import Recorder
from dlexp.training.result import Report

SET_BY_BUILD = (
    "callbacks",
    "logger",
    "enable_checkpointing",
    "enable_progress_bar",
    "enable_model_summary",
    "log_every_n_steps",
    "limit_val_batches",
)


@dataclass
class Job:
    """What one job needs to run."""

    datamodule: SyntheticDataModule
    module: SupervisedModule
    trainer: Trainer
    single_steps_because: str | None


def build(config: Mapping[str, Any], recorder: Recorder, report: Report | None = None) -> Job:
    """Build the objects of one job from its resolved, plain configuration.

    Raises ``ConfigError`` if something that a ``_target_`` names cannot be made with the settings given.
    """
    datamodule = make_datamodule(config)
    callbacks = make_callbacks(config)
    plan = make_plan(config, datamodule.order.steps_per_epoch)
    problems = callback_problems(callbacks, config, plan)
    if problems:
        raise ConfigError("\n".join(problems))
    single_steps_because = reason_for_single_steps(config["trainer"], callbacks)
    in_blocks = single_steps_because is None
    module = SupervisedModule(
        **module_settings(config, plan), in_blocks=in_blocks, plan=plan, recorder=recorder
    )
    if in_blocks:
        datamodule.blocks = Blocks(plan, measured_steps(callbacks, plan))
    evaluation = Evaluation(plan, make_convergence(config), report)
    trainer = make_trainer(config, [evaluation, *callbacks], recorder.loggers, in_blocks)
    return Job(datamodule, module, trainer, single_steps_because)


def module_settings(config: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Return the plain arguments of ``SupervisedModule``."""
    return {
        "network": network_settings(config),
        "loss": config["training"]["loss"],
        "optimizer": {**config["optimizer"], "betas": list(config["optimizer"]["betas"])},
        "total_steps": plan.total_steps,
    }


def measured_steps(callbacks: Sequence[Callback], plan: Plan) -> list[int]:
    """Return the steps at which dlexp's callbacks want to look at the network."""
    return [
        step
        for callback in callbacks
        if hasattr(callback, "due_steps")
        for step in callback.due_steps(plan.total_steps, plan.steps_per_epoch)
    ]


def make_convergence(config: Mapping[str, Any]) -> Convergence:
    """Return a fresh judge of convergence."""
    stopping = config["training"]["stopping"]
    return Convergence(stopping["train_loss"], stopping["patience"], stopping["min_delta"])


def make_trainer(
    config: Mapping[str, Any], callbacks: Sequence[Callback], loggers: Sequence[Logger], in_blocks: bool
) -> Trainer:
    """Return a Lightning Trainer that prints nothing and keeps no checkpoints of its own."""
    settings = trainer_settings(config)
    # All blocks of a run are one Lightning epoch; without blocks Lightning counts epochs as users expect.
    if in_blocks:
        settings |= {"max_epochs": 1, "max_steps": -1}
    settings.setdefault("max_epochs", -1)
    settings["devices"] = 1  # more are for a sweep's other jobs
    return Trainer(
        **settings,
        callbacks=list(callbacks),
        logger=list(loggers) or False,
        limit_val_batches=0,  # Evaluation does it, at the log points
        log_every_n_steps=1,
        enable_checkpointing=any(isinstance(c, Checkpoint) for c in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def find_build_problems(config: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each part of a configuration that cannot be made, without drawing any data."""
    problems = []
    for make in (
        make_datamodule,
        make_callbacks,
        trainer_settings,
        lambda c: make_network(network_settings(c)),
    ):
        try:
            make(config)
        except ValueError as error:
            problems.append(str(error))
        except (TypeError, ImportError, AttributeError) as error:
            problems.append(f"model cannot be made: {error}.")
    if not problems:
        plan = make_plan(config, make_datamodule(config).order.steps_per_epoch)
        problems += callback_problems(make_callbacks(config), config, plan)
    return problems


def callback_problems(callbacks: Sequence[Callback], config: Mapping[str, Any], plan: Plan) -> list[str]:
    """Return one sentence for each setting elsewhere that one of dlexp's callbacks cannot work with."""
    return [
        problem
        for callback in callbacks
        if hasattr(callback, "find_problems")
        for problem in callback.find_problems(config, plan)
    ]


def trainer_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of Lightning's Trainer that the configuration sets.

    Raises ``ConfigError`` for one that Lightning does not have or that dlexp sets itself.
    """
    settings = {key: value for key, value in config["trainer"].items() if value is not None}
    allowed = inspect.signature(Trainer).parameters
    for key in settings:
        if key not in allowed or key in SET_BY_BUILD:
            raise ConfigError(
                f"trainer.{key} is not an argument of Lightning's Trainer that can be set here."
            )
    return settings


def make_plan(config: Mapping[str, Any], steps_per_epoch: int) -> Plan:
    """Return which steps a job takes and at which of them it is looked at."""
    trainer, training = config["trainer"], config["training"]
    total_steps = count_steps(steps_per_epoch, trainer["max_epochs"], trainer["max_steps"])
    points = training["log_points"]
    log_steps = (
        log_spaced_steps(total_steps, points["per_decade"])
        if points["spacing"] == "log"
        else evenly_spaced_steps(total_steps, points["every_n_steps"])
    )
    check = training["stopping"]["check_every_n_steps"]
    return Plan(total_steps, steps_per_epoch, frozenset(log_steps), check)


def network_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings for ``make_network``: widths solved from the budget, keys left at None dropped."""
    model, data = config["model"], config["data"]
    settings = {
        key: value for key, value in model.items() if value is not None and key not in ("budget", "options")
    }
    settings |= model["options"]
    settings |= {"input_dim": data["input_dim"], "output_dim": data["output_dim"]}
    if model["budget"] is not None:
        settings["width"] = widths_for_budget(
            model["budget"], model["depth"], data["input_dim"], data["output_dim"], model["bias"]
        )
    return settings


def make_datamodule(config: Mapping[str, Any]) -> SyntheticDataModule:
    """Return the data module; nothing is drawn yet."""
    settings = dict(config["data"])
    generator_settings = dict(settings.pop("generator"))
    target = generator_settings.pop("_target_")
    generator: Callable[..., Any] = _named("data.generator", target)
    sizes = (1, 1) if does_draw_both_sets(generator) else (1,)
    try:
        inspect.signature(generator).bind(*sizes, None, **generator_settings)
    except TypeError as error:
        raise ConfigError(f"data.generator: {target} does not take these settings: {error}.") from None
    return SyntheticDataModule(generator=functools.partial(generator, **generator_settings), **settings)


def make_callbacks(config: Mapping[str, Any]) -> list[Callback]:
    """Return the callbacks in the order of the configuration, those that change the network last."""
    callbacks = [_make(f"callbacks.{name}", settings) for name, settings in config["callbacks"].items()]
    return sorted(callbacks, key=lambda callback: getattr(callback, "changes_network", False))


def make_loggers(config: Mapping[str, Any], folder: Path) -> list[Logger]:
    """Return the Lightning loggers, writing into the run's folder."""
    return [
        _make(f"logger.{name}", settings, save_dir=str(folder)) for name, settings in config["logger"].items()
    ]


def _make(key: str, settings: Mapping[str, Any], **more: Any) -> Any:
    """Return a new object of what ``_target_`` names."""
    try:
        maker = _maker(key, json.dumps(settings))
        return maker.func(*maker.args, **copy.deepcopy(maker.keywords), **more)
    except Exception:
        return _instantiate(key, {**settings, **more})  # which words the error


@functools.cache
def _maker(key: str, settings: str) -> "functools.partial[Any]":
    """Return what makes an object, of settings as JSON; finding it takes Hydra milliseconds."""
    maker: functools.partial[Any] = _instantiate(key, {**json.loads(settings), "_partial_": True})
    return maker


def _named(key: str, target: str) -> Any:
    try:
        return get_method(target)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{key}._target_={target} is not allowed: {error}.") from None


def _instantiate(key: str, settings: Mapping[str, Any]) -> Any:
    try:
        return instantiate(settings)
    except InstantiationException as error:
        reason = error.__cause__ or error
        raise ConfigError(f"{key} cannot be made: {reason}.") from error
