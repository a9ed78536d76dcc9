"""Every file of conf/data makes the data set it names."""

from pathlib import Path

import pytest
import torch

from dlexp.config.compose import Composer
from dlexp.config.names import LAWS
from dlexp.train.build import make_datamodule

FOLDER = Path(__file__).parents[2] / "conf" / "data"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != "base")
OF_FIXED_SIZE = {target.rpartition(".")[2] for target, law in LAWS.items() if law.input_dim is not None}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_makes_the_data_set_that_it_names(name: str, composer: Composer) -> None:
    for changes in [[], ["data.input_dim=12"]] if name not in OF_FIXED_SIZE else [[]]:
        config = composer.compose([f"data={name}", *changes]).plain
        assert config["data"]["generator"]["_target_"] == f"dlexp.data.generators.{name}"
        tensors = make_datamodule(config).tensors()
        assert tensors.x_train.shape == (config["data"]["n_train"], config["data"]["input_dim"])
        assert len(tensors.x_test) == config["data"]["n_test"]
        assert torch.isfinite(tensors.x_train).all()
        assert not changes or config["data"]["input_dim"] == 12


def test_a_teacher_follows_the_data_seed_unless_it_is_set(composer: Composer) -> None:
    teacher = composer.compose(["data=linear_teacher", "data.seed=8"]).plain
    assert teacher["data"]["generator"]["teacher_seed"] == 8
    centers = composer.compose(["data=gaussian_mixture", "data.generator.center_seed=2"]).plain
    assert centers["data"]["generator"]["center_seed"] == 2
