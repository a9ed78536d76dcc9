"""How the laws get at dlexp: a configuration goes in, what its run left on disk comes out.

The one file of the laws that names dlexp's inside. Outcomes are read from the files of a run's folder, so
that what a law compares is what a user finds there.
"""

import contextlib
import csv
import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from torch import Tensor, nn

import dlexp.training.fit
from dlexp.cli.train import main as main  # the training command
from dlexp.config import validation
from dlexp.config.composition import SweepConfigLoader
from dlexp.config.plain import to_plain
from dlexp.config.resolve import conf_directory, register
from dlexp.data.batches import BatchOrder
from dlexp.data.datamodule import Tensors
from dlexp.sweeps.grouping import reason_for_serial
from dlexp.sweeps.run_group import GroupJob, run_group
from dlexp.training.build import make_datamodule, make_network, network_settings
from dlexp.training.job import run_job
from dlexp.training.losses import LOSSES
from dlexp.training.optimizers import group_settings, learning_rate_factors, optimizer_over

Config = dict[str, Any]
OptimizerState = dict[str, dict[str, Tensor]]

FLOAT64 = ("trainer.precision=64-true", "trainer.accelerator=cpu", "logger=none")


@dataclass
class Outcome:
    """What a run left in its folder.

    Attributes:
        status: ``done``, ``diverged`` or ``failed``.
        step: optimizer steps taken, of a run that left no network the last that it recorded.
        rows: ``(step, metric, value)`` in the order of ``metrics.csv``, without seconds that anything took.
        final: the metrics of ``result.json``, without seconds; NaN stands for null.
        arrays: of ``arrays.npz``.
        state: the network's ``state_dict``; empty if none was kept.
        optimizer_state: by parameter, as far as the run kept it; None if it kept none.
        error: why the run is not ``done``.
    """

    status: str
    step: int
    rows: list[tuple[int, str, float]]
    final: dict[str, float]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    state: dict[str, Tensor] = field(default_factory=dict)
    optimizer_state: OptimizerState | None = None
    error: str | None = None


def compose(*overrides: str) -> Config:
    """Return the plain configuration of a job in float64 on the CPU, as Hydra composes it."""
    loader, sweep = _loader()
    return to_plain(loader.load_sweep_config(sweep, [*FLOAT64, *overrides]))


@cache
def _loader() -> tuple[SweepConfigLoader, Any]:
    register()
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        loader = GlobalHydra.instance().hydra.config_loader
        sweep = loader.load_configuration("train", ["model.width=1,2"], RunMode.MULTIRUN)
    return SweepConfigLoader(loader), sweep


def train_alone(config: Config, *, nudge: int | None = None, folder: Path | None = None) -> Outcome:
    """Return what comes of a job that is trained by itself.

    With ``nudge`` each weight of its initial network is moved by about 1e-14, the number being a seed.
    """
    with _folder(folder) as where, _nudged(nudge):
        run_job(config, [], where)
        return read(where)


def train_together(configs: Sequence[Config], folder: Path | None = None) -> list[Outcome]:
    """Return what comes of each of some jobs of one sweep: those that may share a stack are one."""
    with _folder(folder) as where:
        folders = [where / str(number) for number in range(len(configs))]
        jobs = [GroupJob(config, [], own, {}) for config, own in zip(configs, folders, strict=True)]
        stacked = [job for job in jobs if why_alone(dict(job.plain)) is None]
        if stacked:
            run_group(stacked)
        for job in jobs:
            if job not in stacked:
                run_job(job.plain, [], job.folder)
        return [read(own) for own in folders]


def why_alone(config: Config) -> str | None:
    """Return why a job cannot be a member of a stack; None if it can."""
    return reason_for_serial(config)


def read(folder: Path) -> Outcome:
    """Return what a run left in its folder."""
    result = json.loads((folder / "result.json").read_text())
    with open(folder / "metrics.csv", newline="") as file:
        rows = [
            (int(row["step"]), row["name"], float(row["value"]))
            for row in csv.DictReader(file)
            if not row["name"].startswith("seconds/")
        ]
    final = {
        name: math.nan if value is None else float(value)
        for name, value in result["metrics"].items()
        if not name.startswith("seconds/")
    }
    step = rows[-1][0] if rows else 0
    outcome = Outcome(result["status"], step, rows, final, error=result["error"])
    if (folder / "arrays.npz").exists():
        outcome.arrays = dict(np.load(folder / "arrays.npz"))
    checkpoint = folder / "checkpoints" / "last.ckpt"
    if checkpoint.exists():
        content = torch.load(checkpoint)
        outcome.step = content["global_step"]
        outcome.state = {name.removeprefix("network."): v for name, v in content["state_dict"].items()}
        outcome.optimizer_state = content.get("optimizer_state")
    return outcome


@contextlib.contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name) / "run"


@contextlib.contextmanager
def _nudged(seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
        return
    build = dlexp.training.fit.build
    generator = torch.Generator().manual_seed(seed)

    def build_nudged(*arguments: Any) -> Any:
        job = build(*arguments)
        with torch.no_grad():
            for parameter in job.module.network.double().parameters():
                parameter += 1e-14 * torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
        return job

    with mock.patch.object(dlexp.training.fit, "build", build_nudged):
        yield


@contextlib.contextmanager
def known_loss(name: str, loss: Any) -> Iterator[None]:
    """Let ``training.loss`` have one more name, for regressions."""
    allowed = {**validation.LOSSES, "regression": (*validation.LOSSES["regression"], name)}
    with mock.patch.object(validation, "LOSSES", allowed), mock.patch.dict(LOSSES, {name: loss}):
        yield


def initial_network(config: Config) -> nn.Module:
    """Return the network that a job starts from, in float64."""
    return make_network(network_settings(config)).double()


def tensors(config: Config) -> Tensors:
    """Return a job's data (``x_train``, ``y_train``, ``x_test``, ``y_test``) in float64."""
    return make_datamodule(config).tensors(dtype=torch.float64)


def permutation(config: Config, epoch: int) -> Tensor:
    """Return the order of the training rows in an epoch of a job that does not train on all at once."""
    data = config["data"]
    return BatchOrder(data["n_train"], data["batch_size"], data["order_seed"]).permutation(epoch)


def rate_factors(config: Config, network: nn.Module) -> Mapping[str, float]:
    """Return what multiplies the learning rate, by parameter name; 1 where a name is missing."""
    return learning_rate_factors(network, config["optimizer"]["name"])


def optimize_together(
    name: str,
    settings: Sequence[Mapping[str, Any]],
    starts: Sequence[Mapping[str, Tensor]],
    gradient: Any,
    steps: int,
) -> list[dict[str, Tensor]]:
    """Return what ``steps`` steps of an optimizer make of some networks' parameters, all stepped together.

    Args:
        name: ``sgd``, ``adam`` or ``adamw``.
        settings: of each network, ``lr``, ``momentum``, ``betas``, ``weight_decay``.
        starts: of each network, its parameters by name.
        gradient: ``gradient(member, step, parameters)`` returns the gradients by name.
        steps: how many.
    """
    networks = [{k: nn.Parameter(v.clone()) for k, v in start.items()} for start in starts]
    groups = [
        {
            "params": list(network.values()),
            **group_settings(name, own["lr"], own["momentum"], own["betas"], own["weight_decay"]),
        }
        for network, own in zip(networks, settings, strict=True)
    ]
    optimizer = optimizer_over(groups, name)
    for step in range(steps):
        for member, network in enumerate(networks):
            for key, value in gradient(member, step, network).items():
                network[key].grad = value
        optimizer.step()
    return [{k: v.detach() for k, v in network.items()} for network in networks]
