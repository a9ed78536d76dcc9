"""Fixtures shared by all tests: composing a job's configuration and running it in this process."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hypothesis import settings
from omegaconf import DictConfig

from dlexp.config.composition import SweepConfigLoader
from dlexp.config.plain import to_plain
from dlexp.config.resolve import conf_directory, register
from dlexp.training.job import run_job
from dlexp.training.result import Result

# The same examples each time, so that no run fails by chance; HYPOTHESIS_PROFILE=default searches on.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def loaders() -> tuple[ConfigLoader, SweepConfigLoader, DictConfig]:
    """Return Hydra's own configuration loader, dlexp's for sweeps, and a sweep's configuration."""
    register()
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        loader = GlobalHydra.instance().hydra.config_loader
        sweep = loader.load_configuration("train", ["model.width=1,2"], RunMode.MULTIRUN)
    return loader, SweepConfigLoader(loader), sweep


@pytest.fixture(scope="session")
def compose_plain(loaders: Any) -> Callable[..., dict[str, Any]]:
    """Return a function from overrides to a job's resolved, plain configuration."""
    _, shared, sweep = loaders
    return lambda *overrides: to_plain(shared.load_sweep_config(sweep, list(overrides)))


@pytest.fixture
def run(compose_plain: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., tuple[Result, Path]]:
    """Return a function that runs one short job in this process; it returns the result and its folder."""
    counter = iter(range(1000))

    def run_one(*overrides: str, folder: Path | None = None) -> tuple[Result, Path]:
        folder = folder or tmp_path / f"run{next(counter)}"
        short = ["trainer.max_steps=12", "logger=none", "trainer.accelerator=cpu"]
        return run_job(compose_plain(*short, *overrides), overrides, folder), folder

    return run_one


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs ``python scripts/train.py ...`` from another directory."""

    def call(*arguments: str, script: str = "train.py") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(REPOSITORY / "scripts" / script), *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
        )

    return call
