"""One network's training step: a notebook's loop, a plain loop, dlexp, and Lightning's ordinary way."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from dlexp.bench.configs import (
    EVERY_STEP,
    UNLOGGED,
    Config,
    batch_order,
    compose,
    layer_sizes,
    plain_network,
    with_steps,
)
from dlexp.bench.loops import notebook_loop, plain_loop
from dlexp.bench.timing import Lap, Section, Settings, in_turn, rows_of, timed
from dlexp.training.build import build, make_datamodule, make_loggers
from dlexp.training.recorder import Recorder
from dlexp.training.tensorboard import RunTensorBoard

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
    """Time a step of Adam in each way; whole runs are timed, and a run of one step is taken off."""
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
            "dlexp, nothing logged": partial(step_lap, unlogged, many, device),
            "dlexp": partial(step_lap, config, many, device),
            "Lightning, single steps": partial(step_lap, single, few, device),
        }
        notes = {
            "dlexp": f"{many} steps, log-spaced log points, TensorBoard",
            "Lightning, single steps": f"{few} steps, TensorBoard, evaluation after each epoch",
        }
        laps = in_turn(ways, settings.rounds, warm_up=False)
        section.rows += rows_of(name, laps, settings, reference=PLAIN, unit="µs", of="step", notes=notes)
    return section


def notebook_lap(config: Config, steps: int, device: torch.device) -> Lap:
    """Return what one step of the notebook's loop takes."""
    tensors = make_datamodule(config).tensors()
    network = plain_network(layer_sizes(config)).to(device)
    size = batch_order(config).batch_size
    with torch.random.fork_rng(devices=[]):
        work = partial(notebook_loop, network, tensors.x_train, tensors.y_train, size, steps)
        return timed(work, device).per(steps)


def plain_lap(config: Config, steps: int, device: torch.device) -> Lap:
    """Return what one step of the plain in-memory loop takes."""
    tensors = make_datamodule(config).tensors(device)
    network = plain_network(layer_sizes(config)).to(device)
    work = partial(plain_loop, network, tensors.x_train, tensors.y_train, batch_order(config), steps)
    return timed(work, device).per(steps)


def step_lap(config: Config, steps: int, device: torch.device) -> Lap:
    """Return what one step of a job takes under its Lightning Trainer."""
    whole, one = fit_lap(with_steps(config, steps + 1), device), fit_lap(with_steps(config, 1), device)
    return whole.minus(one).per(steps)


def fit_lap(config: Config, device: torch.device) -> Lap:
    """Return what ``trainer.fit`` takes for a job, loggers and their files included."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(make_loggers(config, Path(folder)))
        job = build(config, recorder)
        lap = timed(lambda: job.trainer.fit(job.module, datamodule=job.datamodule), device)
        for logger in recorder.loggers:
            if isinstance(logger, RunTensorBoard):
                logger.end(well=True)
    return lap
