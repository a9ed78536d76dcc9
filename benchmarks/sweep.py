"""Whole sweeps from the command line, all files included, and what a job of them costs besides its steps."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks import lightning_script
from benchmarks.jobs import COMMON, EVERY_STEP, STUDY_WIDTHS, compose
from benchmarks.step import NOTEBOOK, notebook_lap
from benchmarks.timing import Lap, Section, Settings, in_turn, median, rows_of
from dlexp.train.build import make_order

SERIAL = "hydra/launcher=serial"
VECTORIZED = "hydra/launcher=vectorized"
STACKED = "dlexp"
BASIC = "dlexp in Lightning's single steps, basic launcher"
SCRIPT = "a Lightning script, basic launcher"
WHOLE_JOBS = 5


def overhead(settings: Settings) -> Section:
    """Time what a job adds to a sweep besides training: many jobs of one step, without a few of them."""
    sizes = (
        {SERIAL: (2, 4), VECTORIZED: (2, 4)} if settings.quick else {SERIAL: (2, 62), VECTORIZED: (20, 1000)}
    )
    section = Section()
    ways = {launcher: partial(_each_job, launcher, *counts, settings) for launcher, counts in sizes.items()}
    notes = {launcher: f"{many} jobs without {few}" for launcher, (few, many) in sizes.items()}
    laps = in_turn(ways, 1, warm_up=False)
    case = "a job of one step in a sweep, all files"
    section.rows = rows_of(case, laps, settings, reference=SERIAL, unit="ms/job", notes=notes)
    section.remarks.append(
        "python scripts/train.py -m 'seed=range(N)' trainer.max_steps=1 hydra/launcher=..."
    )
    return section


def _each_job(launcher: str, few: int, many: int, settings: Settings) -> Lap:
    laps = [
        command_lap([launcher, f"seed=range({count})", "trainer.max_steps=1"], settings)
        for count in (many, few)
    ]
    return laps[0].minus(laps[1]).times(1 / (many - few))


def end_to_end(settings: Settings) -> Section:
    """Time the double-descent study, 14 widths x 20 seeds x 500 epochs, from the command to its last file.

    The sweep in stacks is run as it is. The others would take minutes to an hour: they are extrapolated from
    measured steps and jobs, as their notes say.
    """
    widths, seeds, epochs = ((2, 5), 2, 3) if settings.quick else (STUDY_WIDTHS, 20, 500)
    per_epoch = make_order(compose(settings.device)).steps_per_epoch
    jobs, steps = len(widths) * seeds, epochs * per_epoch
    swept = [
        f"model.width={','.join(map(str, widths))}",
        f"seed=range({seeds})",
        *_epochs(epochs),
        VECTORIZED,
    ]
    ours = command_lap([*COMMON, *swept], settings)
    notebook = _notebook_lap(widths, 8 if settings.quick else 400, settings)
    scaled = f"extrapolated from {WHOLE_JOBS} whole jobs at width 20"
    laps = {
        STACKED: [ours],
        NOTEBOOK: [notebook.times(jobs * steps)],
        SCRIPT: [_serial_lap(jobs, partial(script_lap, epochs), settings)],
        BASIC: [_serial_lap(jobs, partial(_lightning_lap, epochs), settings)],
    }
    notes = {
        STACKED: "run whole",
        NOTEBOOK: f"extrapolated: {notebook.cpu * 1e3:.3g} ms a step x {steps} steps x {jobs} jobs; no files",
        SCRIPT: f"{scaled}: TensorBoard, validation after each epoch, checkpoints; not dlexp",
        BASIC: f"{scaled}: dlexp's module, evaluation each epoch, the same files",
    }
    case = f"10-W-1, {len(widths)} widths x {seeds} seeds, {epochs} epochs, all files"
    section = Section(rows_of(case, laps, settings, reference=STACKED, unit="s", notes=notes))
    section.remarks.append("python scripts/train.py -m " + " ".join([*COMMON, *swept]))
    return section


def _notebook_lap(widths: Sequence[int], steps: int, settings: Settings) -> Lap:
    """Return what a step of the notebook's loop takes, the mean over the widths."""
    configs = [compose(settings.device, f"model.width={width}") for width in widths]
    laps = [
        median([notebook_lap(config, steps, settings.device) for _ in range(settings.rounds)])
        for config in configs
    ]
    return Lap(sum(lap.cpu for lap in laps), sum(lap.wall for lap in laps)).times(1 / len(laps))


def _lightning_lap(epochs: int, seeds: str, settings: Settings) -> Lap:
    arguments = [*COMMON, "model.width=20", seeds, *_epochs(epochs), EVERY_STEP, "hydra/launcher=basic"]
    return command_lap(arguments, settings)


def _serial_lap(jobs: int, lap: Callable[[str, Settings], Lap], settings: Settings) -> Lap:
    """Return what a serial sweep would take: a command of one job, and the others' share of a longer one.

    The jobs are whole ones. Shorter jobs would be lost in the scatter of a command's start, half a second.
    """
    many = 2 if settings.quick else WHOLE_JOBS
    one, several = (lap(f"seed={','.join(map(str, range(count)))}", settings) for count in (1, many))
    job = several.minus(one).times(1 / (many - 1))
    return Lap(*(o + j * (jobs - 1) for o, j in zip(one, job, strict=True)))


def _epochs(epochs: int) -> list[str]:
    return ["trainer.max_steps=-1", f"trainer.max_epochs={epochs}"]


def command_lap(overrides: Sequence[str], settings: Settings) -> Lap:
    """Return what a sweep takes as a command of its own, in an empty folder: imports and composing too.

    Raises ``RuntimeError`` with the command's last words if it fails.
    """
    program = ["-c", "from dlexp.cli.train import main; main()", "-m", *overrides]
    with tempfile.TemporaryDirectory() as folder:
        lap = _program_lap([*program, f"trainer.accelerator={_accelerator(settings)}"], folder)
        results = [json.loads(path.read_text()) for path in Path(folder).glob("outputs/*/*/result.json")]
    if not results or any(result["status"] != "done" for result in results):
        raise RuntimeError(f"the sweep {' '.join(overrides)} failed")
    return lap


def script_lap(epochs: int, seeds: str, settings: Settings) -> Lap:
    """Return what a Lightning user's own script takes for some seeds."""
    arguments = ["-m", seeds, f"epochs={epochs}", f"accelerator={_accelerator(settings)}"]
    with tempfile.TemporaryDirectory() as folder:
        return _program_lap([lightning_script.__file__, *arguments], folder)


def _accelerator(settings: Settings) -> str:
    return "gpu" if settings.device.type == "cuda" else "cpu"


def _program_lap(arguments: Sequence[str], folder: str) -> Lap:
    """Return what a Python program takes, on one thread."""
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    times, start = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {done.stderr[-2000:]}")
    cpu = after.children_user - times.children_user + after.children_system - times.children_system
    return Lap(cpu, wall)
