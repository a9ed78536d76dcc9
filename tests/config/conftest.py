"""Fixtures for configurations: one composer for all tests, and what a job's overrides are refused with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dlexp.config.compose import Composer, composer_of
from dlexp.config.errors import ConfigError
from dlexp.config.jobs import compose_jobs
from dlexp.config.resolve import conf_directory

CONF = conf_directory()
OPTION_FILES = {
    "data/broken.yaml": "input_dim: [1,\nn_train: 2\n",
    "data/twice.yaml": "input_dim: 1\ninput_dim: 2\n",
    "data/empty.yaml": "",
    "data/short.yaml": "generator: {_target_: my.law}\ninput_dim: 3\nn_train: 5\nn_test: 5\nnoise: 0\n",
    "data/listed.yaml": "- 1\n",
    "data/elsewhere.yaml": "defaults: [nowhere]\n",
    "data/scalar.yaml": "3\n",
    "data/tab.yaml": "n_train:\t5\n",
    "callbacks/without.yaml": "without: {rate: 2}\n",
    "callbacks/flat.yaml": "_target_: my.Callback\n",
    "study/own.yaml": "# @package _global_\nname: own\nstudy: {arms: {a: {model.width: 2}}}\n",
    "study/list.yaml": "# @package _global_\nstudy: [1, 2]\n",
    "study/arm.yaml": "# @package _global_\nstudy: {arms: {a: 3}}\n",
    "study/python.yaml": "# @package _global_\nstudy: {python: nowhere.py}\n",
    "study/key.yaml": "# @package _global_\nstudy: {arms: {a: {modle.width: 2}}}\n",
    "callbacks/mine.yaml": "mine: {_target_: my.Callback, rate: 2, seed: null}\n",
}


@pytest.fixture(scope="session")
def option_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with some options of a user's own, wrong ones among them."""
    folder = tmp_path_factory.mktemp("conf")
    for name, text in OPTION_FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "data" / "binary.yaml").write_bytes(b"\xff\xfe")
    return folder


@pytest.fixture(scope="session")
def composer(option_files: Path) -> Composer:
    """Return the composer of a sweep that finds these options too."""
    return composer_of([f"hydra.searchpath=[file://{option_files}]"])


@pytest.fixture(scope="session")
def refusal(composer: Composer) -> Callable[..., list[str]]:
    """Return a function from a job's overrides to the sentences that refuse it."""

    def problems(*overrides: str) -> list[str]:
        try:
            compose_jobs(composer, [overrides])
        except ConfigError as error:
            return error.problems
        return []

    return problems


def options(*groups: str) -> list[str]:
    """Return ``group=option`` for every option of dlexp's own in the groups."""
    return [
        f"{group}={path.stem}"
        for group in groups
        for path in sorted((CONF / group).glob("*.yaml"))
        if path.stem != "base" and not path.stem.startswith("_")
    ]


def yaml_files() -> list[Path]:
    return sorted(CONF.rglob("*.yaml"))
