"""Rules on values that belong together, asked of settings that are right by themselves.

Each yields a sentence for each way in which it is broken; the setting that the sentence names is the one to
change.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dlexp.config.callbacks import SETTINGS
from dlexp.config.errors import in_words, listed, missing, not_allowed, unknown_key
from dlexp.config.identity import current_target
from dlexp.config.kinds import TARGET
from dlexp.config.names import FAMILIES, INITIALIZATIONS_OF, LAWS, LOSSES_OF, MLP, OPTIMIZERS

Given = Callable[..., Any]
"""From keys to their values, a list; raises ``WrongByItselfError`` for one that is wrong by itself."""


class WrongByItselfError(LookupError):
    """A rule asks for a setting that is refused already."""


def _batches_of_the_training_set(given: Given) -> Iterator[str]:
    size, n_train = given("data.batch_size", "data.n_train")
    if size != "full" and int(size) > n_train:
        yield not_allowed(
            "data.batch_size", size, f"full or a whole number between 1 and data.n_train={n_train}"
        )


def _labels(given: Given) -> Iterator[str]:
    task, output_dim = given("data.task", "data.output_dim")
    if task != "classification":
        return
    if output_dim < 2:
        yield not_allowed("data.output_dim", output_dim, "at least 2, the number of classes")
    for key in ("data.noise", "data.test_noise"):
        (noise,) = given(key)
        if noise is not None and noise > 1:
            yield not_allowed(key, noise, "at most 1: for _labels it is a probability")


def _generator_has_a_target(given: Given) -> Iterator[str]:
    (generator,) = given("data.generator")
    target = generator.get("_target_")
    if target in (None, "???"):
        yield missing("data.generator._target_", f"{TARGET.allowed}, which draws the samples")
    elif not TARGET.takes(target):
        yield not_allowed("data.generator._target_", target, TARGET.allowed)
    elif target.rpartition(".")[0] == "dlexp.data.generators" and current_target(target) not in LAWS:
        allowed = "one of dlexp's laws or a function of yours"
        yield not_allowed("data.generator._target_", target, allowed, LAWS)


def _law_is_of_these_shapes(given: Given) -> Iterator[str]:
    generator, input_dim = given("data.generator", "data.input_dim")
    name = generator.get("_target_")
    law = LAWS.get(str(current_target(name)))
    if law is None:
        return
    for key, needed in (
        ("data.task", law.task),
        ("data.input_dim", law.input_dim),
        ("data.output_dim", law.output_dim),
    ):
        (value,) = given(key)
        if needed is not None and value != needed:
            yield not_allowed(key, value, f"{needed} with data.generator._target_={name}")
    if input_dim < law.least_inputs:
        yield not_allowed("data.input_dim", input_dim, f"at least {law.least_inputs} with {name}")
    n_train, n_test = given("data.n_train", "data.n_test")
    if law.rows is not None and n_train + n_test > law.rows:
        yield not_allowed("data.n_train", n_train, f"at most {law.rows} together with data.n_test={n_test}")


def _law_takes_its_settings(given: Given) -> Iterator[str]:
    generator, input_dim = given("data.generator", "data.input_dim")
    law = LAWS.get(str(current_target(generator.get("_target_"))))
    if law is None:
        return
    for name, value in generator.items():
        key, kind = f"data.generator.{name}", law.settings.get(name)
        if name == "_target_":
            continue
        if kind is None:
            yield unknown_key(key, [f"data.generator.{known}" for known in ("_target_", *law.settings)])
        elif not kind.takes(value):
            yield not_allowed(key, value, kind.allowed, kind.names)
        elif name == "bits" and value > input_dim:
            yield not_allowed(key, value, f"at most data.input_dim={input_dim}")
        elif name == "teacher_dim" and value is not None and value < input_dim:
            yield not_allowed(key, value, f"at least data.input_dim={input_dim}, or null for it")


_MODEL_KEYS = tuple(dict.fromkeys(key for family in FAMILIES.values() for key in family.takes))


def _model_takes_its_settings(given: Given) -> Iterator[str]:
    target, precision = given("model._target_", "trainer.precision")
    family = FAMILIES.get(str(current_target(target)))
    if family is None:
        return
    if family.in_double and precision not in ("64-true", "64", 64):
        yield not_allowed("trainer.precision", precision, f"64-true with the constructed network {target}")
    for name in _MODEL_KEYS:
        key = f"model.{name}"
        (value,) = given(key)
        if value is None:
            if name in family.needs:
                yield not_allowed(key, None, f"set: {target} needs it")
        elif name not in family.takes:
            yield not_allowed(key, value, f"null: {target} does not take it")
        elif name == "initialization" and value not in family.initializations:
            names = family.initializations
            yield not_allowed(key, value, f"one of {listed(names)} with {target}", names)
        elif name == "depth" and value > family.deepest:
            yield not_allowed(key, value, f"at most {family.deepest} with {target}")


def _initialization_of_the_parametrization(given: Given) -> Iterator[str]:
    parametrization, initialization = given("model.parametrization", "model.initialization")
    names = INITIALIZATIONS_OF.get(str(parametrization))
    if names and initialization is not None and initialization not in names:
        allowed = f"{listed(names)} with model.parametrization={parametrization}"
        yield not_allowed("model.initialization", initialization, allowed)


def _width_or_budget(given: Given) -> Iterator[str]:
    target, width, budget = given("model._target_", "model.width", "model.budget")
    if width is not None and budget is not None:
        allowed = f"null with model.budget={budget}, which determines the width"
        yield not_allowed("model.width", width, allowed)
    if width is None and budget is None and current_target(target) == MLP:
        yield not_allowed("model.width", None, "a whole number, at least 1, unless model.budget is set")


def _budget_has_widths(given: Given) -> Iterator[str]:
    budget, depth, bias, readout_bias = given(
        "model.budget", "model.depth", "model.bias", "model.readout_bias"
    )
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
    input_dim, output_dim = given("data.input_dim", "data.output_dim")
    smallest = input_dim + bias + (depth - 1) * (1 + bias) + (1 + bias) * output_dim
    if budget < smallest:
        yield not_allowed("model.budget", budget, f"at least {smallest} with model.depth={depth}")


def _one_optimizer(given: Given) -> Iterator[str]:
    name, target, options = given("optimizer.name", "optimizer._target_", "optimizer.options")
    if name is None and target is None:
        allowed = f"one of {listed(OPTIMIZERS)}, unless optimizer._target_ is set"
        yield not_allowed("optimizer.name", None, allowed)
    if name is not None and target is not None:
        yield not_allowed("optimizer.name", name, f"null with optimizer._target_={target}")
    if target is None and options is not None:
        allowed = "null without optimizer._target_, whose arguments they are"
        yield not_allowed("optimizer.options", options, allowed)


def _optimizer_takes_its_settings(given: Given) -> Iterator[str]:
    name, momentum, batch_size = given("optimizer.name", "optimizer.momentum", "data.batch_size")
    if name == "gradient_descent" and batch_size != "full":
        yield not_allowed("data.batch_size", batch_size, "full with optimizer.name=gradient_descent")
    if name != "sgd" and momentum != 0:
        yield not_allowed("optimizer.momentum", momentum, f"0 with optimizer.name={in_words(name)}")
    (nesterov,) = given("optimizer.nesterov")
    if nesterov and (name != "sgd" or momentum == 0):
        yield not_allowed("optimizer.nesterov", nesterov, "false without sgd and momentum")


def _loss_of_the_task(given: Given) -> Iterator[str]:
    task, loss = given("data.task", "training.loss")
    names = LOSSES_OF[task]
    if loss not in names and "." not in loss:  # a loss of one's own knows its tasks when it is found
        yield not_allowed("training.loss", loss, f"{listed(names)} with data.task={task}", names)


def _training_ends(given: Given) -> Iterator[str]:
    max_epochs, max_steps = given("trainer.max_epochs", "trainer.max_steps")
    if max_epochs in (None, -1) and max_steps == -1:
        allowed = f"a number with trainer.max_epochs={in_words(max_epochs)}: training needs an end"
        yield not_allowed("trainer.max_steps", max_steps, allowed)
    for unit, most in (("steps", max_steps), ("epochs", max_epochs)):
        (least,) = given(f"trainer.min_{unit}")
        if least is not None and most not in (None, -1) and least > most:
            yield not_allowed(f"trainer.min_{unit}", least, f"at most trainer.max_{unit}={most}")


ALWAYS_RECORDED = (
    *("train/loss", "test/loss", "train/error", "test/error"),
    *("model/parameters", "weights/norm"),
)


def _objective_is_recorded(given: Given) -> Iterator[str]:
    problem = metric_problem("objective", *given("objective", "data.task", "callbacks"))
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


RULES = (
    _batches_of_the_training_set,
    _labels,
    _generator_has_a_target,
    _law_is_of_these_shapes,
    _law_takes_its_settings,
    _model_takes_its_settings,
    _initialization_of_the_parametrization,
    _width_or_budget,
    _budget_has_widths,
    _one_optimizer,
    _optimizer_takes_its_settings,
    _loss_of_the_task,
    _training_ends,
    _objective_is_recorded,
)
