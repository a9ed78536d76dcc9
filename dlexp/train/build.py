"""From a job's configuration to plain Python objects: the last place that sees a configuration."""

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import Logger

from dlexp.config.errors import ConfigError, not_allowed
from dlexp.config.objects import locate, make, require_arguments
from dlexp.data.batches import BatchOrder
from dlexp.data.datamodule import SyntheticDataModule
from dlexp.data.generators.fixed import does_draw_both_sets
from dlexp.models.budget import widths_for_budget
from dlexp.seeding import GlobalRandomState
from dlexp.train.choose import why_by_itself
from dlexp.train.hooks import is_measure, reason_for_own_trainer
from dlexp.train.lightning import quiet_libraries
from dlexp.train.member import Member
from dlexp.train.network import make_network
from dlexp.train.plan import (
    Block,
    Blocks,
    Convergence,
    Plan,
    Schedule,
    SingleSteps,
    count_steps,
    evenly_spaced_steps,
    log_spaced_steps,
)

FOR_LIGHTNING = ("accelerator", "precision", "deterministic", "benchmark", "detect_anomaly", "profiler")
"""Arguments of the Trainer that are Lightning's alone; the others dlexp carries out itself."""

IN_SINGLE_STEPS = ("max_time", "min_epochs", "min_steps")
"""Those that Lightning judges after each step."""


def make_member(config: Mapping[str, Any], data: SyntheticDataModule | None = None) -> Member:
    """Return the member that a job's resolved, plain configuration describes; its data are drawn.

    Args:
        config: of the job.
        data: its data module if there is one already; jobs that differ elsewhere can share it.

    Raises ``ConfigError`` for what cannot be made or does not fit together.
    """
    random_state = GlobalRandomState(config["seed"])
    with random_state.active():
        data = data or make_datamodule(config)
        data.setup()
        callbacks = make_callbacks(config)
        order = make_order(config)
        plan = make_plan(config, order)
        trainer, stopping = config["trainer"], config["training"]["stopping"]
        limit = trainer.get("gradient_clip_val")
        member = Member(
            network_settings(config),
            loss=config["training"]["loss"],
            optimizer=optimizer_settings(config),
            total_steps=plan.total_steps,
            data=data,
            order=order,
            schedule=make_schedule(config, plan, callbacks),
            plan=plan,
            convergence=Convergence(stopping["train_loss"], stopping["patience"], stopping["min_delta"]),
            accumulate=trainer.get("accumulate_grad_batches") or 1,
            clip=(float(limit), trainer.get("gradient_clip_algorithm") or "norm") if limit else None,
            callbacks=callbacks,
        )
    member.random_state = random_state
    return member


def optimizer_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return an optimizer's settings as plain data, for checkpoints."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in config["optimizer"].items()}


def make_schedule(config: Mapping[str, Any], plan: Plan, callbacks: Iterable[Callback]) -> Schedule:
    """Return the learning-rate schedule: over the whole run, unless a callback divides it into cycles."""
    schedule = Schedule(config["optimizer"].get("schedule") or "constant", max(plan.total_steps, 1))
    for callback in callbacks:
        if hasattr(callback, "reschedule"):
            schedule = callback.reschedule(schedule, plan)
    return schedule


def make_order(config: Mapping[str, Any]) -> BatchOrder:
    """Return the order of a job's batches."""
    data = config["data"]
    seed = data["seed"] if data["order_seed"] is None else data["order_seed"]
    return BatchOrder(data["n_train"], data["batch_size"], seed)


def make_plan(config: Mapping[str, Any], order: BatchOrder) -> Plan:
    """Return which steps a job takes and at which of them it is looked at."""
    trainer, training = config["trainer"], config["training"]
    accumulate = trainer.get("accumulate_grad_batches") or 1
    steps_per_epoch = -(-order.steps_per_epoch // accumulate)
    total_steps = count_steps(steps_per_epoch, trainer["max_epochs"], trainer["max_steps"])
    points = training["log_points"]
    log_steps = (
        log_spaced_steps(total_steps, points["per_decade"])
        if points["spacing"] == "log"
        else evenly_spaced_steps(total_steps, points["every_n_steps"])
    )
    min_steps = max(trainer.get("min_steps") or 0, (trainer.get("min_epochs") or 0) * steps_per_epoch)
    check = training["stopping"]["check_every_n_steps"]
    return Plan(total_steps, steps_per_epoch, frozenset(log_steps), check, min_steps)


def make_trainer(
    config: Mapping[str, Any], *, loggers: Sequence[Logger] = (), in_single_steps: bool
) -> Trainer:
    """Return a Lightning Trainer that prints nothing and keeps no checkpoints of its own."""
    quiet_libraries()
    trainer = config["trainer"]
    keys = (*FOR_LIGHTNING, *IN_SINGLE_STEPS) if in_single_steps else FOR_LIGHTNING
    settings = {key: trainer[key] for key in keys if trainer.get(key) is not None}
    # All blocks of a run are one Lightning epoch; single steps are counted in epochs as users expect.
    limits: dict[str, Any] = {"max_epochs": 1, "max_steps": -1}
    total_steps = make_plan(config, make_order(config)).total_steps
    if in_single_steps and total_steps:  # Lightning calls no hook of a run without steps
        limits = {"max_epochs": -1, "max_steps": total_steps}
    return Trainer(
        **settings,
        **limits,
        devices=1,  # more are for a sweep's other jobs
        logger=list(loggers) or False,
        limit_val_batches=0,  # the ensemble evaluates, at the log points
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def make_loader(members: Sequence[Member], *, in_single_steps: bool, start: int = 0) -> Iterable[Block]:
    """Return the blocks of steps between the points at which any of the members is looked at."""
    plan = members[0].plan
    if in_single_steps and plan.total_steps:
        return SingleSteps(plan)
    measured = {step for member in members for step in measured_steps(member.callbacks, plan)}
    return Blocks(plan, measured, start)


def measured_steps(callbacks: Sequence[Callback], plan: Plan) -> set[int]:
    """Return the steps at which callbacks want to look at the network."""
    measures: list[Any] = [callback for callback in callbacks if is_measure(callback)]
    due = (measure.due_steps(plan.total_steps, plan.steps_per_epoch) for measure in measures)
    return {step for steps in due for step in steps}


def reason_alone(config: Mapping[str, Any]) -> str | None:
    """Return why a job is trained under a Trainer of its own, in a few words, or None if it can share one."""
    if engine_of(config) == "loop":
        return "the loop is asked for (training.engine or trainer.detect_anomaly)"
    with GlobalRandomState(config["seed"]).active():
        reason = reason_for_own_trainer(config["trainer"], make_callbacks(config))
        if reason is not None:
            return reason
        network = make_network(network_settings(config))
    trainer = config["trainer"]
    member = Member(
        network,
        loss=config["training"]["loss"],
        optimizer=optimizer_settings(config),
        accumulate=trainer.get("accumulate_grad_batches") or 1,
        clip=(1.0, "norm") if trainer.get("gradient_clip_val") else None,
        plan=make_plan(config, make_order(config)),
    )
    return why_by_itself(member, engine_of(config))


def ensemble_key(config: Mapping[str, Any]) -> str:
    """Return what the members of one ensemble have in common, as text: their plan and their Trainer."""
    plan = make_plan(config, make_order(config))
    shared = {
        "plan": [plan.total_steps, plan.steps_per_epoch, sorted(plan.log_steps), plan.check_every_n_steps],
        "min_steps": plan.min_steps,
        "trainer": {k: v for k, v in config["trainer"].items() if k != "devices"},
        "threads": config["threads"],
        "engine": engine_of(config),
    }
    return json.dumps(shared, sort_keys=True, default=str)


def engine_of(config: Mapping[str, Any]) -> str:
    """Return the engine that a job asks for: ``auto``, ``stack``, ``replay`` or ``loop``."""
    if config["trainer"].get("detect_anomaly"):
        return "loop"  # what torch looks at is autograd's graph
    return config["training"].get("engine") or "auto"


def network_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings for ``make_network``: widths solved from the budget, keys left at None dropped."""
    model, data = config["model"], config["data"]
    settings = {
        key: value for key, value in model.items() if value is not None and key not in ("budget", "options")
    }
    settings |= model.get("options") or {}
    settings |= {"input_dim": data["input_dim"], "output_dim": data["output_dim"]}
    if model.get("budget") is not None:
        settings["width"] = widths_for_budget(
            model["budget"], model["depth"], data["input_dim"], data["output_dim"], model["bias"]
        )
    return settings


def data_key(config: Mapping[str, Any]) -> str:
    """Return what jobs that draw the same data have in common, as text."""
    return json.dumps({k: v for k, v in config["data"].items() if k != "order_seed"}, sort_keys=True)


def make_datamodule(config: Mapping[str, Any]) -> SyntheticDataModule:
    """Return the data module; nothing is drawn yet."""
    settings = dict(config["data"])
    generator_settings = dict(settings.pop("generator"))
    target = generator_settings.pop("_target_")
    generator: Callable[..., Any] = locate("data.generator", target)
    sizes = (1, 1) if does_draw_both_sets(generator) else (1,)
    require_arguments("data.generator", target, *sizes, None, **generator_settings)
    return SyntheticDataModule(generator=functools.partial(generator, **generator_settings), **settings)


def make_callbacks(config: Mapping[str, Any]) -> list[Callback]:
    """Return the callbacks in the order of the configuration, those that change the network last."""
    chosen = {name: settings for name, settings in config["callbacks"].items() if settings is not None}
    callbacks = [make(f"callbacks.{name}", settings) for name, settings in chosen.items()]
    for (name, settings), callback in zip(chosen.items(), callbacks, strict=True):
        if not isinstance(callback, Callback):
            key, allowed = f"callbacks.{name}._target_", "a class of pytorch_lightning.Callback's kind"
            raise ConfigError(not_allowed(key, settings["_target_"], allowed))
    return sorted(callbacks, key=lambda callback: getattr(callback, "changes_network", False))


def make_loggers(config: Mapping[str, Any], folder: Path) -> list[Logger]:
    """Return the Lightning loggers, writing into the run's folder."""
    return [
        make(f"logger.{name}", settings, save_dir=str(folder)) for name, settings in config["logger"].items()
    ]
