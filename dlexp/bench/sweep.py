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

from dlexp.bench import lightning_script
from dlexp.bench.configs import COMMON, EVERY_STEP, STUDY_WIDTHS, batch_order, compose
from dlexp.bench.timing import Lap, Section, Settings, in_turn, median, rows_of
from dlexp.bench.training import NOTEBOOK, notebook_lap

SERIAL = "hydra/launcher=serial"
VECTORIZED = "hydra/launcher=vectorized"
BASIC = "Lightning in single steps, basic launcher"
LIGHTNING = "a Lightning script, basic launcher"
LIGHTNING_JOBS = 5


def overhead(settings: Settings) -> Section:
    """Time what a job adds to a sweep besides training: many jobs of one step, without a few of them."""
    few, many = (2, 4) if settings.quick else (2, 62)
    section = Section()
    ways = {launcher: partial(_each_job, launcher, few, many, settings) for launcher in (SERIAL, VECTORIZED)}
    laps = in_turn(ways, 1, warm_up=False)
    name = f"a job of one step in a sweep ({many} jobs without {few}), all files"
    section.rows = rows_of(name, laps, settings, reference=SERIAL, unit="ms", of="job")
    section.remarks.append(
        f"python scripts/train.py -m 'seed=range({many})' trainer.max_steps=1 hydra/launcher=..."
    )
    return section


def _each_job(launcher: str, few: int, many: int, settings: Settings) -> Lap:
    laps = [
        command_lap([launcher, f"seed=range({count})", "trainer.max_steps=1"], settings)
        for count in (many, few)
    ]
    return laps[0].minus(laps[1]).per(many - few)


def end_to_end(settings: Settings) -> Section:
    """Time the double-descent study, 14 widths x 20 seeds x 500 epochs, from the command to its last file.

    The sweep under the vectorized launcher is run as it is. The others would take minutes to an hour: they
    are extrapolated from measured steps and jobs, as their notes say.
    """
    widths, seeds, epochs = ((2, 5), 2, 3) if settings.quick else (STUDY_WIDTHS, 20, 500)
    config = compose(settings.device)
    per_epoch = batch_order(config).steps_per_epoch
    jobs, steps = len(widths) * seeds, epochs * per_epoch
    swept = [f"model.width={','.join(map(str, widths))}", f"seed=range({seeds})"]
    ours = command_lap([*COMMON, *swept, *_epochs(epochs), VECTORIZED], settings)
    notebook = _notebook_lap(widths, 8 if settings.quick else 400, settings)
    each_epoch = ("training.log_points.spacing=linear", f"training.log_points.every_n_steps={per_epoch}")
    lightning = _lightning_lap(jobs, epochs, (), settings)
    lightning_logged = _lightning_lap(jobs, epochs, each_epoch, settings)
    script = _serial_lap(jobs, partial(script_lap, epochs), settings)
    scaled = f"extrapolated from {LIGHTNING_JOBS} whole jobs at width 20: "
    ways = {
        "dlexp vectorized": ours,
        NOTEBOOK: Lap(notebook.cpu * jobs * steps, notebook.wall * jobs * steps),
        LIGHTNING: script,
        BASIC: lightning,
        f"{BASIC}, all logged": lightning_logged,
    }
    notes = {
        "dlexp vectorized": "run whole",
        NOTEBOOK: f"extrapolated: {notebook.cpu * 1e3:.3g} ms a step x {steps} steps x {jobs} jobs; no files",
        LIGHTNING: scaled + "TensorBoard, validation after each epoch, checkpoints; not dlexp",
        BASIC: scaled + "dlexp's module, evaluation each epoch, the same files",
        f"{BASIC}, all logged": scaled + "TensorBoard too after each epoch",
    }
    case = f"10-W-1, {len(widths)} widths x {seeds} seeds, {epochs} epochs, all files"
    laps = {way: [lap] for way, lap in ways.items()}
    section = Section(rows_of(case, laps, settings, reference="dlexp vectorized", unit="s", notes=notes))
    section.remarks.append(
        "python scripts/train.py -m " + " ".join([*COMMON, *swept, *_epochs(epochs), VECTORIZED])
    )
    return section


def _notebook_lap(widths: Sequence[int], steps: int, settings: Settings) -> Lap:
    laps = [
        median(
            [
                notebook_lap(compose(settings.device, f"model.width={width}"), steps, settings.device)
                for _ in range(settings.rounds)
            ]
        )
        for width in widths
    ]
    return Lap(sum(lap.cpu for lap in laps), sum(lap.wall for lap in laps)).per(len(laps))


def _lightning_lap(jobs: int, epochs: int, extra: Sequence[str], settings: Settings) -> Lap:
    """Return what dlexp would take as a serial sweep in single steps."""

    def lap(seeds: str, settings: Settings) -> Lap:
        launcher = "hydra/launcher=basic"
        arguments = [*COMMON, "model.width=20", seeds, *_epochs(epochs), EVERY_STEP, launcher, *extra]
        return command_lap(arguments, settings)

    return _serial_lap(jobs, lap, settings)


def _serial_lap(jobs: int, lap: Callable[[str, Settings], Lap], settings: Settings) -> Lap:
    """Return what a serial sweep would take: a command of one job, and the others' share of a longer one.

    The jobs are whole ones. Shorter jobs would be lost in the scatter of a command's start, half a second.
    """
    many = 2 if settings.quick else LIGHTNING_JOBS
    one, several = (lap(f"seed={','.join(map(str, range(count)))}", settings) for count in (1, many))
    job = several.minus(one).per(many - 1)
    return Lap(*(o + j * (jobs - 1) for o, j in zip(one, job, strict=True)))


def _epochs(epochs: int) -> list[str]:
    return ["trainer.max_steps=-1", f"trainer.max_epochs={epochs}"]


def command_lap(overrides: Sequence[str], settings: Settings) -> Lap:
    """Return what a sweep takes as a command of its own, in an empty folder: imports and composing too.

    Raises ``RuntimeError`` with the command's last words if it fails.
    """
    accelerator = f"trainer.accelerator={_accelerator(settings)}"
    program = ["-c", "from dlexp.cli.train import main; main()", "-m", *overrides, accelerator]
    with tempfile.TemporaryDirectory() as folder:
        lap = _program_lap(program, folder)
        results = [json.loads(path.read_text()) for path in Path(folder).glob("outputs/*/*/result.json")]
    if not results or any(result["status"] != "done" for result in results):
        raise RuntimeError(f"the sweep {' '.join(overrides)} failed")
    return lap


def script_lap(epochs: int, seeds: str, settings: Settings) -> Lap:
    """Return what a Lightning user's own script takes for some seeds."""
    script = Path(lightning_script.__file__)
    arguments = ["-m", seeds, f"epochs={epochs}", f"accelerator={_accelerator(settings)}"]
    with tempfile.TemporaryDirectory() as folder:
        return _program_lap([str(script), *arguments], folder)


def _accelerator(settings: Settings) -> str:
    return "gpu" if settings.device.type == "cuda" else "cpu"


def _program_lap(arguments: Sequence[str], folder: str) -> Lap:
    """Return what a Python program takes, on one thread."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    times, start = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {done.stderr[-2000:]}")
    cpu = after.children_user - times.children_user + after.children_system - times.children_system
    return Lap(cpu, wall)
