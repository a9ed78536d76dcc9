"""Synthetic run folders: what a sweep leaves on disk, without running one."""

import copy
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BASE: dict[str, Any] = {
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


def write_run(
    sweep: Path,
    settings: dict[str, Any] | None = None,
    metrics: dict[str, float | None] | None = None,
    *,
    seed: int = 0,
    status: str = "done",
    overrides: dict[str, Any] | None = None,
    **fields: Any,
) -> Path:
    """Write one run's folder: `settings` by dotted name over BASE, `overrides` as typed (the settings)."""
    config = copy.deepcopy(BASE)
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


def losses(test: float, train: float | None = None, width: int | None = None) -> dict[str, float | None]:
    """Return a regression's metrics; with a width also the parameters of a two-layer network of it."""
    found: dict[str, float | None] = {"train/loss": test / 2 if train is None else train, "test/loss": test}
    return found if width is None else {**found, "model/parameters": 22 * width + 1}


# STUDIES, double_descent: width, training loss, test loss.
DOUBLE_DESCENT = (
    (1, 0.208, 0.324),
    (2, 0.157, 0.473),
    (5, 7e-4, 1.540),
    (50, 2e-14, 0.50),
    (200, 2e-13, 0.455),
)


def write_double_descent(sweep: Path, seeds: int) -> Path:
    """Write the main job's sweep as it comes out, over a number of seeds."""
    for width, train, test in DOUBLE_DESCENT:
        for seed in range(seeds):
            spread = math.sin(3 * seed + width)
            metrics = losses(test * (1 + 0.2 * spread), train * math.exp(spread), width)
            write_run(sweep, {"model.width": width}, metrics, seed=seed)
    return sweep


@pytest.fixture
def run() -> Callable[..., Path]:
    return write_run


@pytest.fixture
def metrics() -> Callable[..., dict[str, float | None]]:
    return losses


@pytest.fixture
def double_descent() -> Callable[[Path, int], Path]:
    return write_double_descent
