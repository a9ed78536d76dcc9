"""The tables of the configuration against YAML and the code that they are of."""

import inspect
import re
from importlib import import_module

import pytest
import yaml
from pytorch_lightning import Trainer

from dlexp.config.callbacks import SETTINGS
from dlexp.config.check import FIELDS
from dlexp.config.names import ACCELERATORS, ACTIVATIONS, FAMILIES, LAWS, OPTIMIZERS, PRECISIONS
from dlexp.config.schema import Config, TrainerConfig, steps_per_epoch, total_steps
from tests.config.conftest import CONF

BASE = yaml.safe_load((CONF / "base.yaml").read_text())
FREE = ("data.generator", "model.options", "optimizer.options", "logger", "callbacks", "study")


def leaves(settings, prefix=""):
    for key, value in settings.items():
        full = f"{prefix}{key}"
        if isinstance(value, dict) and full not in FREE:
            yield from leaves(value, f"{full}.")
        else:
            yield full, value


def named(target):
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)


def test_every_key_stands_in_yaml_with_its_default():
    in_yaml = dict(leaves(BASE))
    del in_yaml["study"]
    sections = {key.rpartition(".")[0] for key in FIELDS}
    assert set(in_yaml) == set(FIELDS) - sections
    derived = ("data.seed", "data.order_seed", "model.seed", "training.loss", "seed")
    for key, default in in_yaml.items():
        if not FIELDS[key].is_required():
            assert default == FIELDS[key].default, key
        else:
            assert default == "???" or key in (*derived, "data.generator"), key


def settings_in_yaml(name):
    content = yaml.safe_load((CONF / "callbacks" / f"{name}.yaml").read_text())
    shared = yaml.safe_load((CONF / "callbacks" / "_schedule.yaml").read_text())
    is_scheduled = f"_schedule@{name}" in content.get("defaults", [])
    return {**(shared if is_scheduled else {}), **content[name]}


@pytest.mark.parametrize("target", SETTINGS)
def test_a_callbacks_settings_stand_in_yaml_and_are_explained_by_its_class(target):
    fields = {f.alias or name: f for name, f in SETTINGS[target].model_fields.items()}
    files = {settings["_target_"]: settings for settings in map(settings_in_yaml, callback_names())}
    assert set(files[target]) == set(fields)
    callback = named(target)
    assert callback.settings_model is SETTINGS[target]
    explained = " ".join(inspect.getdoc(parent) or "" for parent in callback.__mro__)
    for name in set(fields) - {"_target_"}:
        assert re.search(rf"\b{name}\b", explained), name


def callback_names():
    return [
        p.stem for p in (CONF / "callbacks").glob("*.yaml") if p.stem != "none" and not p.stem.startswith("_")
    ]


@pytest.mark.parametrize("target", LAWS)
def test_a_laws_settings_are_its_arguments(target):
    parameters = inspect.signature(named(target)).parameters.values()
    assert set(LAWS[target].settings) == {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}


def test_every_law_has_an_entry():
    from dlexp.data import generators

    laws = {name for name in generators.__all__ if name != "draws_both_sets"}
    assert {target.rpartition(".")[2] for target in LAWS} == laws


@pytest.mark.parametrize("target", FAMILIES)
def test_a_models_settings_are_its_arguments(target):
    parameters = inspect.signature(named(target)).parameters.values()
    arguments = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    family = FAMILIES[target]
    assert set(family.takes) - {"budget"} <= arguments
    settings = {key.partition(".")[2] for key in FIELDS if key.startswith("model.")}
    assert settings & arguments == set(family.takes) - {"budget"}
    assert set(family.needs) <= set(family.takes)


def test_names_are_those_of_the_code():
    from dlexp.models.activations import ACTIVATIONS as IN_CODE

    assert set(ACTIVATIONS) == set(IN_CODE)
    assert all(hasattr(named("torch.optim"), name) for name in ("SGD", "Adam", "AdamW"))
    assert OPTIMIZERS == ("sgd", "gradient_descent", "adam", "adamw")


def test_the_trainers_arguments_are_lightnings():
    assert set(TrainerConfig.model_fields) <= set(inspect.signature(Trainer).parameters)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_lightning_has_every_precision(precision):
    from typing import get_args

    from lightning_fabric.plugins.precision.precision import (
        _PRECISION_INPUT_INT,
        _PRECISION_INPUT_STR,
        _PRECISION_INPUT_STR_ALIAS,
    )

    known = {*map(str, get_args(_PRECISION_INPUT_INT)), *get_args(_PRECISION_INPUT_STR)}
    assert str(precision) in known | set(get_args(_PRECISION_INPUT_STR_ALIAS))


def test_lightning_has_every_accelerator():
    from pytorch_lightning.accelerators import AcceleratorRegistry

    assert set(ACCELERATORS) - {"auto", "gpu"} <= set(AcceleratorRegistry.available_accelerators())


@pytest.mark.parametrize(
    ("rows", "batch", "accumulated", "epochs", "limit", "steps"),
    [(100, "full", 1, 3, -1, 3), (100, 30, 1, 3, -1, 12), (100, 30, 3, 3, -1, 6), (100, 30, 3, 3, 5, 5)],
)
def test_steps_are_counted_as_they_are_taken(rows, batch, accumulated, epochs, limit, steps):
    assert total_steps(steps_per_epoch(rows, batch, accumulated), epochs, limit) == steps


def test_the_json_schema_knows_bounds_and_names():
    schema = Config.model_json_schema(by_alias=True)["$defs"]
    assert schema["DataConfig"]["properties"]["n_train"]["minimum"] == 1
    assert schema["OptimizerConfig"]["properties"]["lr"]["exclusiveMinimum"] == 0
    assert schema["DataConfig"]["properties"]["task"]["enum"] == ["regression", "classification"]
    assert schema["ModelConfig"]["additionalProperties"] is False
