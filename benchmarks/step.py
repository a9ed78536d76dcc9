"""A lone job's training step: a notebook's loop, a plain loop, dlexp, and Lightning's ordinary way."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from benchmarks.jobs import (
    EVERY_STEP,
    UNLOGGED,
    Config,
    compose,
    data_of,
    layer_sizes,
    plain_network,
    with_steps,
)
from benchmarks.loops import notebook_loop, plain_loop
from benchmarks.timing import Lap, Section, Settings, in_turn, rows_of, timed
from dlexp.train.build import make_order
from dlexp.train.job import run_tasks
from dlexp.train.job_folder import Task

NOTEBOOK = "notebook loop"
PLAIN = "plain in-memory loop"

CASES = {
    "10-50-1, full batch of 100": ("data.batch_size=full",),
    "20-50-1, full batch of 100": ("data=linear_teacher", "data.batch_size=full"),
    "10-50-1, batch 32 of 100": (),
}


class EveryStep(Callback):
    """Does nothing, after every batch: with it Lightning trains in its ordinary way, step by step."""

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, index: int) -> None:
        """Do nothing."""


def measure(settings: Settings) -> Section:
    """Time a step of Adam in each way: of dlexp whole jobs with all their files, less a job of one step."""
    section = Section()
    device = settings.device
    few, many = (16, 40) if settings.quick else (200, 2000)
    for name, overrides in CASES.items():
        config = compose(device, *overrides)
        unlogged = compose(device, *overrides, *UNLOGGED)
        single = compose(device, *overrides, EVERY_STEP)
        ways = {
            NOTEBOOK: partial(notebook_lap, config, many // 8, device),
            PLAIN: partial(plain_lap, config, many // 2, device),
            "dlexp, a stack of one": partial(job_lap, unlogged, many, device, "stack"),
            "dlexp, the loop": partial(job_lap, unlogged, many, device, "loop"),
            "dlexp, logged": partial(job_lap, config, many, device),
            "Lightning, single steps": partial(job_lap, single, few, device),
        }
        notes = {
            "dlexp, logged": f"{many} steps, log-spaced log points, TensorBoard",
            "Lightning, single steps": f"{few} steps, TensorBoard, evaluation after each epoch",
        }
        laps = in_turn(ways, settings.rounds, warm_up=False)
        section.rows += rows_of(name, laps, settings, reference=PLAIN, unit="µs/step", notes=notes)
    return section


def notebook_lap(config: Config, steps: int, device: torch.device) -> Lap:
    """Return what one step of the notebook's loop takes."""
    data = data_of(config)
    network = plain_network(layer_sizes(config)).to(device)
    size = make_order(config).batch_size
    with torch.random.fork_rng(devices=[]):
        work = partial(notebook_loop, network, data.x_train, data.y_train, size, steps)
        return timed(work, device).times(1 / steps)


def plain_lap(config: Config, steps: int, device: torch.device) -> Lap:
    """Return what one step of the plain in-memory loop takes."""
    data = data_of(config, device)
    network = plain_network(layer_sizes(config)).to(device)
    work = partial(plain_loop, network, data.x_train, data.y_train, make_order(config), steps)
    return timed(work, device).times(1 / steps)


def job_lap(config: Config, steps: int, device: torch.device, engine: str | None = None) -> Lap:
    """Return what one step of a job takes, its records and files included."""

    def whole(steps: int) -> Lap:
        with tempfile.TemporaryDirectory() as folder:
            task = Task(with_steps(config, steps), (), Path(folder, "job"))
            lap = timed(lambda: runs.extend(run_tasks([task], engine=engine)), device)
        if runs[-1].error:
            raise RuntimeError(f"a job that was to be timed failed: {runs[-1].error}")
        return lap

    runs: list[Any] = []
    return whole(steps + 1).minus(whole(1)).times(1 / steps)
