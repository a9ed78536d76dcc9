"""Every file of conf/data makes the data set it names."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_method
from omegaconf import OmegaConf

from dlexp.config.fill import fill
from dlexp.data.datamodule import SyntheticDataModule

FOLDER = Path(__file__).parents[2] / "conf" / "data"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != "base")
KEYS = {"generator", "input_dim", "output_dim", "task", "n_train", "n_test", "noise", "test_noise"}
KEYS |= {"batch_size", "seed", "order_seed"}


def load(name: str, *overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(FOLDER.parent), version_base="1.3"):
        config = compose(overrides=[f"+data={name}", "+seed=3", *overrides])
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    data: dict[str, Any] = fill({str(key): value for key, value in plain.items()})["data"]
    return data


def build(data: dict[str, Any]) -> SyntheticDataModule:
    settings = dict(data["generator"])
    function = get_method(settings.pop("_target_"))
    return SyntheticDataModule(**{**data, "generator": partial(function, **settings)})


def test_there_is_a_file_for_each_data_set() -> None:
    from dlexp.data import generators

    assert set(NAMES) == set(generators.__all__) - {"draws_both_sets"}


@pytest.mark.parametrize("name", NAMES)
def test_the_file_has_the_keys_and_makes_its_data_set(name: str) -> None:
    data = load(name)
    assert set(data) == KEYS
    assert data["seed"] == data["order_seed"] == 3
    assert data["generator"]["_target_"] == f"dlexp.data.generators.{name}"
    tensors = build(data).tensors()
    assert tensors.x_train.shape == (data["n_train"], data["input_dim"])
    assert len(tensors.x_test) == data["n_test"]
    assert torch.isfinite(tensors.x_train).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_header_is_the_command_and_a_line_on_what_it_is(name: str) -> None:
    lines = (FOLDER / f"{name}.yaml").read_text().splitlines()
    assert lines[0] == f"# python scripts/train.py data={name}"
    assert lines[1].startswith("# ")


def test_a_teacher_follows_the_data_seed_unless_it_is_set() -> None:
    assert load("linear_teacher", "data.seed=8")["generator"]["teacher_seed"] == 8
    assert load("gaussian_mixture", "data.generator.center_seed=2")["generator"]["center_seed"] == 2


@pytest.mark.parametrize(
    "name", [n for n in NAMES if n not in ("damped_wave", "damped_wave_grid", "tent", "chebyshev", "digits")]
)
def test_the_input_dimension_can_be_changed_by_one_key(name: str) -> None:
    assert build(load(name, "data.input_dim=12")).tensors().x_train.shape[1] == 12
