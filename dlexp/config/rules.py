"""Rules on values that belong together: each is asked once, of settings that are right by themselves."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dlexp.config.callbacks import SETTINGS
from dlexp.config.errors import in_words, listed, missing, not_allowed, unknown_key
from dlexp.config.identity import current_target
from dlexp.config.kinds import TARGET
from dlexp.config.names import FAMILIES, INITIALIZATIONS_OF, LAWS, LOSSES_OF, MLP, OPTIMIZERS

Problems = Callable[..., Iterator[str]]


@dataclass(frozen=True)
class Rule:
    """A rule on the values of some keys: ``problems(*values)`` yields a sentence for each that breaks it."""

    keys: tuple[str, ...]
    problems: Problems


RULES: list[Rule] = []


def rule(*keys: str) -> Callable[[Problems], Problems]:
    """Make a function of the values of these keys a rule."""

    def register(problems: Problems) -> Problems:
        RULES.append(Rule(keys, problems))
        return problems

    return register


@rule("data.batch_size", "data.n_train")
def _batches_of_the_training_set(batch_size: int | str, n_train: int) -> Iterator[str]:
    if batch_size != "full" and int(batch_size) > n_train:
        allowed = f"full or a whole number between 1 and data.n_train={n_train}"
        yield not_allowed("data.batch_size", batch_size, allowed)


@rule("data.task", "data.output_dim", "data.noise", "data.test_noise")
def _labels(task: str, output_dim: int, noise: float, test_noise: float | None) -> Iterator[str]:
    if task != "classification":
        return
    if output_dim < 2:
        yield not_allowed("data.output_dim", output_dim, "at least 2, the number of classes")
    for key, value in (("data.noise", noise), ("data.test_noise", test_noise)):
        if value is not None and value > 1:
            yield not_allowed(key, value, "at most 1: for labels it is a probability")


@rule("data.generator")
def _generator_has_a_target(generator: Mapping[str, Any]) -> Iterator[str]:
    target = generator.get("_target_")
    if target in (None, "???"):
        yield missing("data.generator._target_", f"{TARGET.allowed}, which draws the samples")
    elif not TARGET.takes(target):
        yield not_allowed("data.generator._target_", target, TARGET.allowed)
    elif target.rpartition(".")[0] == "dlexp.data.generators" and current_target(target) not in LAWS:
        yield not_allowed(
            "data.generator._target_", target, "one of dlexp's laws or a function of yours", LAWS
        )


@rule("data.generator", "data.task", "data.input_dim", "data.output_dim", "data.n_train", "data.n_test")
def _law_is_of_these_shapes(
    generator: Mapping[str, Any], task: str, input_dim: int, output_dim: int, n_train: int, n_test: int
) -> Iterator[str]:
    name = generator.get("_target_")
    law = LAWS.get(str(current_target(name)))
    if law is None:
        return
    for key, value, needed in (
        ("data.task", task, law.task),
        ("data.input_dim", input_dim, law.input_dim),
        ("data.output_dim", output_dim, law.output_dim),
    ):
        if needed is not None and value != needed:
            yield not_allowed(key, value, f"{needed} with data.generator._target_={name}")
    if input_dim < law.least_inputs:
        yield not_allowed("data.input_dim", input_dim, f"at least {law.least_inputs} with {name}")
    if law.rows is not None and n_train + n_test > law.rows:
        yield not_allowed("data.n_train", n_train, f"at most {law.rows} together with data.n_test={n_test}")


@rule("data.generator", "data.input_dim")
def _law_takes_its_settings(generator: Mapping[str, Any], input_dim: int) -> Iterator[str]:
    law = LAWS.get(str(current_target(generator.get("_target_"))))
    if law is None:
        return
    prefix = "data.generator."
    for name, value in generator.items():
        if name == "_target_":
            continue
        if name not in law.settings:
            yield unknown_key(
                f"{prefix}{name}", [f"{prefix}{known}" for known in ("_target_", *law.settings)]
            )
            continue
        kind = law.settings[name]
        if not kind.takes(value):
            yield not_allowed(f"{prefix}{name}", value, kind.allowed, kind.names)
        elif name == "bits" and value > input_dim:
            yield not_allowed(f"{prefix}bits", value, f"at most data.input_dim={input_dim}")
        elif name == "teacher_dim" and value is not None and value < input_dim:
            yield not_allowed(
                f"{prefix}teacher_dim", value, f"at least data.input_dim={input_dim}, or null for it"
            )


_MODEL_KEYS = tuple(dict.fromkeys(key for family in FAMILIES.values() for key in family.takes))


@rule("model._target_", *(f"model.{key}" for key in _MODEL_KEYS))
def _model_takes_its_settings(target: str, *values: Any) -> Iterator[str]:
    family = FAMILIES.get(str(current_target(target)))
    if family is None:
        return
    for key, value in zip(_MODEL_KEYS, values, strict=True):
        if value is not None and key not in family.takes:
            yield not_allowed(f"model.{key}", value, f"null: {target} does not take it")
        if value is None and key in family.needs:
            yield not_allowed(f"model.{key}", None, f"set: {target} needs it")
        if key == "initialization" and value is not None and value not in family.initializations:
            names = family.initializations
            yield not_allowed("model.initialization", value, f"one of {listed(names)} with {target}", names)
        if key == "depth" and value is not None and value > family.deepest:
            yield not_allowed("model.depth", value, f"at most {family.deepest} with {target}")


@rule("model._target_", "trainer.precision")
def _constructed_networks_in_double(target: str, precision: int | str) -> Iterator[str]:
    family = FAMILIES.get(str(current_target(target)))
    if family is not None and family.in_double and precision not in ("64-true", "64", 64):
        yield not_allowed("trainer.precision", precision, f"64-true with the constructed network {target}")


@rule("model.parametrization", "model.initialization")
def _initialization_of_the_parametrization(
    parametrization: str | None, initialization: str | None
) -> Iterator[str]:
    names = INITIALIZATIONS_OF.get(str(parametrization))
    if names and initialization is not None and initialization not in names:
        allowed = f"{listed(names)} with model.parametrization={parametrization}"
        yield not_allowed("model.initialization", initialization, allowed)


@rule("model._target_", "model.width", "model.budget")
def _width_or_budget(target: str, width: int | None, budget: int | None) -> Iterator[str]:
    if width is not None and budget is not None:
        yield not_allowed(
            "model.width", width, f"null with model.budget={budget}, which determines the width"
        )
    if width is None and budget is None and current_target(target) == MLP:
        yield not_allowed("model.width", None, "a whole number, at least 1, unless model.budget is set")


@rule("model.budget", "model.depth", "model.bias", "model.readout_bias", "data.input_dim", "data.output_dim")
def _budget_has_widths(
    budget: int | None,
    depth: int | None,
    bias: bool | None,
    readout_bias: bool | None,
    input_dim: int,
    output_dim: int,
) -> Iterator[str]:
    if budget is None:
        return
    if depth is None or depth < 1:
        yield not_allowed("model.depth", depth, f"at least 1 with model.budget={budget}")
        return
    if bias is None:
        yield not_allowed("model.bias", None, f"true or false with model.budget={budget}")
        return
    if readout_bias not in (None, bias):
        allowed = f"null with model.budget={budget}, which is solved for biases in all layers or none"
        yield not_allowed("model.readout_bias", readout_bias, allowed)
    smallest = input_dim + bias + (depth - 1) * (1 + bias) + (1 + bias) * output_dim
    if budget < smallest:
        yield not_allowed("model.budget", budget, f"at least {smallest} with model.depth={depth}")


@rule("optimizer.name", "optimizer._target_", "optimizer.options")
def _one_optimizer(name: str | None, target: str | None, options: Mapping[str, Any] | None) -> Iterator[str]:
    if name is None and target is None:
        yield not_allowed(
            "optimizer.name", None, f"one of {listed(OPTIMIZERS)}, unless optimizer._target_ is set"
        )
    if name is not None and target is not None:
        yield not_allowed("optimizer.name", name, f"null with optimizer._target_={target}")
    if target is None and options is not None:
        yield not_allowed(
            "optimizer.options", options, "null without optimizer._target_, whose arguments they are"
        )


@rule("optimizer.name", "optimizer.momentum", "data.batch_size")
def _optimizer_takes_its_settings(name: str | None, momentum: float, batch_size: int | str) -> Iterator[str]:
    if name == "gradient_descent" and batch_size != "full":
        yield not_allowed("data.batch_size", batch_size, "full with optimizer.name=gradient_descent")
    if name != "sgd" and momentum != 0:
        yield not_allowed("optimizer.momentum", momentum, f"0 with optimizer.name={in_words(name)}")


@rule("optimizer.name", "optimizer.momentum", "optimizer.nesterov")
def _nesterov_has_momentum(name: str | None, momentum: float, nesterov: bool | None) -> Iterator[str]:
    if nesterov and (name != "sgd" or momentum == 0):
        yield not_allowed("optimizer.nesterov", nesterov, "false without sgd and momentum")


@rule("data.task", "training.loss")
def _loss_of_the_task(task: str, loss: str) -> Iterator[str]:
    names = LOSSES_OF[task]
    if loss not in names and "." not in loss:  # a loss of one's own knows its tasks when it is found
        yield not_allowed("training.loss", loss, f"{listed(names)} with data.task={task}", names)


@rule("trainer.max_epochs", "trainer.max_steps", "trainer.min_epochs", "trainer.min_steps")
def _training_ends(
    max_epochs: int | None, max_steps: int, min_epochs: int | None, min_steps: int | None
) -> Iterator[str]:
    if max_epochs in (None, -1) and max_steps == -1:
        allowed = f"a number with trainer.max_epochs={in_words(max_epochs)}: training needs an end"
        yield not_allowed("trainer.max_steps", max_steps, allowed)
    if min_steps is not None and max_steps != -1 and min_steps > max_steps:
        yield not_allowed("trainer.min_steps", min_steps, f"at most trainer.max_steps={max_steps}")
    if min_epochs is not None and max_epochs not in (None, -1) and min_epochs > max_epochs:
        yield not_allowed("trainer.min_epochs", min_epochs, f"at most trainer.max_epochs={max_epochs}")


ALWAYS_RECORDED = (
    *("train/loss", "test/loss", "train/error", "test/error"),
    *("model/parameters", "weights/norm"),
)


@rule("objective", "data.task", "callbacks")
def _objective_is_recorded(objective: str, task: str, callbacks: Mapping[str, Any]) -> Iterator[str]:
    problem = metric_problem("objective", objective, task, callbacks)
    if problem:
        yield problem


def metric_problem(key: str, metric: str, task: str, callbacks: Mapping[str, Any]) -> str | None:
    """Return the sentence for a metric that no job of this task with these callbacks records, or None.

    A callback of a user's own may record any metric.
    """
    names = [name for name in ALWAYS_RECORDED if task == "classification" or not name.endswith("/error")]
    beginnings: list[str] = []
    for name, settings in callbacks.items():
        target = settings.get("_target_") if isinstance(settings, Mapping) else None
        known = SETTINGS.get(str(current_target(target)))
        if known is None:
            return None
        names.append(f"seconds/{name}")
        beginnings += known.metrics
    if metric in names or metric.startswith(tuple(beginnings)):
        return None
    return not_allowed(
        key, metric, f"a metric that the job records ({', '.join([*names, *beginnings])})", names
    )
