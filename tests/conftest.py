"""Fixtures shared by all tests: composing a job's configuration and running it in this process."""

import copy
import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from dlexp.config.compose import Composer, composer_of
from dlexp.records.run import Run
from dlexp.train.job import run_tasks
from dlexp.train.job_folder import Task

# The same examples each time, so that no run fails by chance; HYPOTHESIS_PROFILE=default searches on.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take how often each kind of sweep is killed by ``tests/faults``, where the slow tests run."""
    parser.addoption("--kills", type=int, default=4)


REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def composer() -> Composer:
    """Return what composes all jobs of a session of tests."""
    return composer_of()


@pytest.fixture(scope="session")
def compose_plain(composer: Composer) -> Callable[..., dict[str, Any]]:
    """Return a function from overrides to a job's filled, plain configuration."""
    return lambda *overrides: composer.compose(list(overrides)).plain


@pytest.fixture
def run(compose_plain: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., tuple[Run, Path]]:
    """Return a function that runs one short job in this process; it returns the result and its folder."""
    counter = iter(range(1000))

    def run_one(*overrides: str, folder: Path | None = None) -> tuple[Run, Path]:
        folder = folder or tmp_path / f"run{next(counter)}"
        short = ["trainer.max_steps=12", "logger=none", "trainer.accelerator=cpu"]
        (run,) = run_tasks([Task(compose_plain(*short, *overrides), overrides, folder)])
        return run, folder

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


# What a sweep leaves on disk, without running one.
_BASE: dict[str, Any] = {
    "name": "sweep",
    "seed": 0,
    "rerun": False,
    "data": {
        "generator": {
            "_target_": "dlexp.data.generators.linear_teacher",
            "weights": [1.0, 2.0],
            "teacher_seed": 0,
        },
        "input_dim": 20,
        "output_dim": 1,
        "n_train": 100,
        "noise": 0.5,
        "batch_size": "full",
        "seed": 0,
        "order_seed": 0,
    },
    "model": {"_target_": "dlexp.models.mlp.MLP", "width": 50, "depth": 1, "activation": "relu", "seed": 0},
    "optimizer": {"name": "adam", "lr": 0.01},
    "training": {"loss": "mse"},
}


def _write_run(
    sweep: Path,
    settings: dict[str, Any] | None = None,
    metrics: dict[str, float | None] | None = None,
    *,
    seed: int = 0,
    status: str = "done",
    overrides: dict[str, Any] | None = None,
    **fields: Any,
) -> Path:
    """Write one run's folder: `settings` by dotted name over _BASE, `overrides` as typed (the settings)."""
    config = copy.deepcopy(_BASE)
    seeds = dict.fromkeys(
        ("seed", "data.seed", "data.order_seed", "data.generator.teacher_seed", "model.seed"), seed
    )
    for key, value in {**seeds, **(settings or {})}.items():
        *parents, leaf = key.split(".")
        node = config
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    typed = {**((settings or {}) if overrides is None else overrides), "seed": seed}
    identity = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
    readable = ",".join(f"{key.rsplit('.', 1)[-1]}={value}" for key, value in typed.items())
    folder = sweep / f"{readable}-{identity[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "status": status,
        "config": config,
        "overrides": [f"{key}={value}" for key, value in typed.items()],
        "seed": seed,
        "metrics": {} if metrics is None else metrics,
        "error": None,
        "duration_s": 1.25,
        "versions": {"torch": "2.13.0"},
        "device": "cpu",
        "run_id": folder.name,
        "identity": identity,
    }
    (folder / "result.json").write_text(json.dumps({**result, **fields}))
    return folder


def _losses(test: float, train: float | None = None, width: int | None = None) -> dict[str, float | None]:
    """Return a regression's metrics; with a width also the parameters of a two-layer network of it."""
    found: dict[str, float | None] = {"train/loss": test / 2 if train is None else train, "test/loss": test}
    return found if width is None else {**found, "model/parameters": 22 * width + 1}


# STUDIES, double_descent: width, training loss, test loss.
_DOUBLE_DESCENT = (
    (1, 0.208, 0.324),
    (2, 0.157, 0.473),
    (5, 7e-4, 1.540),
    (50, 2e-14, 0.50),
    (200, 2e-13, 0.455),
)


def _write_double_descent(sweep: Path, seeds: int) -> Path:
    """Write the main job's sweep as it comes out, over a number of seeds."""
    for width, train, test in _DOUBLE_DESCENT:
        for seed in range(seeds):
            spread = math.sin(3 * seed + width)
            metrics = _losses(test * (1 + 0.2 * spread), train * math.exp(spread), width)
            _write_run(sweep, {"model.width": width}, metrics, seed=seed)
    return sweep


@pytest.fixture
def write_run() -> Callable[..., Path]:
    """Return a function that writes one run's folder."""
    return _write_run


@pytest.fixture
def metrics() -> Callable[..., dict[str, float | None]]:
    """Return a function from losses to a regression's metrics."""
    return _losses


@pytest.fixture
def double_descent() -> Callable[[Path, int], Path]:
    """Return a function that writes the main job's sweep as it comes out."""
    return _write_double_descent
