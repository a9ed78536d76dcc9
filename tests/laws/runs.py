"""How the laws get at dlexp: a configuration goes in, what its run left on disk comes out.

The one file of the laws that names dlexp's inside. Outcomes are read from the files of a run's folder, so
that what a law compares is what a user finds there.
"""

import contextlib
import csv
import functools
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
from torch import Tensor, nn

import dlexp.train.build
import dlexp.train.choose
import dlexp.train.stacks.buckets
import dlexp.train.stacks.engine
from dlexp.cli.train import main as main  # the training command
from dlexp.config.compose import Composer, composer_of
from dlexp.data.datamodule import Tensors
from dlexp.losses import LOSSES, REGRESSION, Loss
from dlexp.models.layers import ScaledLinear
from dlexp.train.build import make_datamodule, make_order, network_settings, reason_alone
from dlexp.train.job import run_tasks
from dlexp.train.job_folder import Task
from dlexp.train.network import make_network
from dlexp.train.optimizers import OptimizerSettings, learning_rate_factors
from dlexp.train.stacks.optimizers import StackOptimizer
from dlexp.train.stacks.stack import Stack

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
        log: what the run's log says.
    """

    status: str
    step: int
    rows: list[tuple[int, str, float]]
    final: dict[str, float]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    state: dict[str, Tensor] = field(default_factory=dict)
    optimizer_state: OptimizerState | None = None
    error: str | None = None
    log: str = ""

    @property
    def is_stacked(self) -> bool:
        """Whether the run was trained in a stack from beginning to end."""
        return "networks at once" in self.log and "by itself" not in self.log


def compose(*overrides: str) -> Config:
    """Return the plain configuration of a job in float64 on the CPU, as Hydra composes it."""
    return _composer().compose([*FLOAT64, *overrides]).plain


@cache
def _composer() -> Composer:
    return composer_of()


def train_alone(config: Config, *, nudge: int | None = None, folder: Path | None = None) -> Outcome:
    """Return what comes of a job that is trained by itself, by the loop.

    With ``nudge`` each weight of its initial network is moved by about 1e-14, the number being a seed.
    """
    with _folder(folder) as where, _nudged(nudge):
        run_tasks([Task(config, [], where)], engine="loop")
        return read(where)


def train_together(
    configs: Sequence[Config], folder: Path | None = None, *, eager: bool = False
) -> list[Outcome]:
    """Return what comes of each of some jobs of one sweep, trained as one ensemble.

    Small networks fill one stack to their ends, as nothing else is worth its cost. ``eager`` ones are stacked
    by their sizes, and anew whenever a member ends, as large ones are.
    """
    with _folder(folder) as where, _eager() if eager else contextlib.nullcontext():
        folders = [where / str(number) for number in range(len(configs))]
        run_tasks([Task(config, [], own) for config, own in zip(configs, folders, strict=True)])
        return [read(own) for own in folders]


def train_with_snapshots(
    configs: Sequence[Config], folder: Path, minutes: float | None, *, engine: str | None = None
) -> list[Outcome]:
    """Return what comes of some jobs, a snapshot left every ``minutes``; they go on from one."""
    folders = [folder / str(number) for number in range(len(configs))]
    plain = [{**config, "snapshot_minutes": minutes} for config in configs]
    tasks = [Task(config, [], own) for config, own in zip(plain, folders, strict=True)]
    run_tasks(tasks, engine=engine, snapshots=folder / "snapshots")
    return [read(own) for own in folders]


@contextlib.contextmanager
def _eager() -> Iterator[None]:
    by_size = functools.partial(dlexp.train.stacks.buckets.partition, layer_overhead=0.0)
    with (
        mock.patch.object(dlexp.train.stacks.engine, "partition", by_size),
        mock.patch.object(dlexp.train.choose, "COMPACT_BELOW", math.inf),
    ):
        yield


def why_alone(config: Config) -> str | None:
    """Return why a job cannot be a member of a stack; None if it can."""
    return reason_alone(config)


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
        outcome.optimizer_state = content["optimizer_state"]
    if (folder / "train.log").exists():
        outcome.log = (folder / "train.log").read_text()
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
    make_member = dlexp.train.build.make_member
    generator = torch.Generator().manual_seed(seed)

    def make_nudged(*arguments: Any) -> Any:
        member = make_member(*arguments)
        with torch.no_grad():
            for parameter in member.network.double().parameters():
                parameter += 1e-14 * torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
        return member

    with mock.patch.object(dlexp.train.build, "make_member", make_nudged):
        yield


@contextlib.contextmanager
def in_place_of(name: str, per_row: Any) -> Iterator[None]:
    """Let ``training.loss=name`` stand for a loss that has no derivative written by hand."""
    with mock.patch.dict(LOSSES, {name: Loss(name, name, (REGRESSION,), per_row)}):
        yield


def initial_network(config: Config) -> nn.Module:
    """Return the network that a job starts from, in float64."""
    return make_network(network_settings(config)).double()


def tensors(config: Config) -> Tensors:
    """Return a job's data (``x_train``, ``y_train``, ``x_test``, ``y_test``) in float64."""
    return make_datamodule(config).tensors(dtype=torch.float64)


def permutation(config: Config, epoch: int) -> Tensor:
    """Return the order of the training rows in an epoch of a job that does not train on all at once."""
    return make_order(config).permutation(epoch)


def rate_factors(config: Config, network: nn.Module) -> Mapping[str, float]:
    """Return what multiplies the learning rate, by parameter name; 1 where a name is missing."""
    return learning_rate_factors(network, OptimizerSettings.of(config["optimizer"]))


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
        settings: of each network, ``lr``, ``momentum``, ``betas``, ``weight_decay``, ``nesterov``.
        starts: of each network, its parameters by name: two layers ``0`` and ``1``, weights and biases.
        gradient: ``gradient(member, step, parameters)`` returns the gradients by name.
        steps: how many.
    """
    networks = []
    for start in starts:
        sizes = [start["0.weight"].shape[::-1], start["1.weight"].shape[::-1]]
        network = nn.Sequential(*(ScaledLinear(*size) for size in sizes)).double()
        network.load_state_dict(dict(start))
        networks.append(network)
    stack = Stack(networks)
    own = [OptimizerSettings(name, **each) for each in settings]
    optimizer = StackOptimizer(stack, own, [{} for _ in own], [{} for _ in own])
    for step in range(steps):
        for member in range(len(networks)):
            present = stack.gather(member, stack.values)
            stack.scatter(member, stack.gradients, gradient(member, step, present))
        optimizer.step()
    return [stack.gather(member, stack.values) for member in range(len(networks))]
