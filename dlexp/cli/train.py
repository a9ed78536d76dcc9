"""The command that trains: one job, or a sweep with ``-m``.

Nothing here imports torch before a job runs: ``--help``, ``--cfg job`` and tab completion answer at once.
"""

import signal
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from dlexp.config.hydra_internals import run_worded
from dlexp.config.plain import to_plain
from dlexp.config.resolve import conf_directory, register
from dlexp.frameworks import import_frameworks
from dlexp.studies.table import shown_path, tensorboard_command
from dlexp.sweeps import session


def train(config: DictConfig) -> float | None:
    """Run one job; the task function that Hydra calls. Returns the objective for Hydra's sweepers."""
    import_frameworks()
    from dlexp.training.job import run_job

    state = session.current
    runtime = HydraConfig.get()
    folder = Path(runtime.runtime.output_dir)
    result = run_job(to_plain(config), list(runtime.overrides.task), folder, state.progress.report)
    state.note(folder, result)
    return result.metrics.get(config.objective)


def main() -> None:
    """Run the command and exit: 0 if every job is done, 1 if not, 130 or 143 if it was interrupted."""
    register()
    signal.signal(signal.SIGTERM, _on_sigterm)
    command: Any = hydra.main(version_base="1.3", config_path=str(conf_directory()), config_name="train")(
        train
    )
    try:
        run_worded(command, sys.argv[1:])
    except KeyboardInterrupt:
        session.current.progress.end()
        print(
            "Interrupted: finished jobs are kept, and the same command goes on from there.", file=sys.stderr
        )
        sys.exit(143 if _terminated else 130)
    finally:
        session.current.progress.end()
    sys.exit(conclude(session.current))


_terminated = False


def _on_sigterm(*_: Any) -> None:
    """Treat SIGTERM as Ctrl-C: what is finished stays, what is running leaves no result."""
    global _terminated
    _terminated = True
    raise KeyboardInterrupt


def conclude(state: session.Session) -> int:
    """Print what the jobs came to, a line for each that is not done last; return the exit code."""
    if state.folder is None:  # --help, --cfg and the like ran no job
        return 0
    if state.is_sweep:
        from dlexp.cli.report import report
        from dlexp.studies.study import note_duration

        note_duration(state.folder, state.started)
        report(state.folder)
    else:
        _print_job(state)
        for job in state.unsuccessful:
            print(f"{job.status}: {job.label}: {job.error} ({shown_path(job.log)})", file=sys.stderr)
    return 1 if state.unsuccessful else 0


def _print_job(state: session.Session) -> None:
    for job in state.ended:
        if job.status == "done":
            # of metrics by layer, result.json has the rest
            shown = sorted((k, v) for k, v in job.metrics.items() if k.count("/") == 1)
            values = "  ".join(f"{name} {value:.4g}" for name, value in shown)
            print(f"{job.label}  {values}")
        print(f"results: {shown_path(job.log.parent)}")
        # The folder above: pointed at a run itself, TensorBoard shows settings without metrics.
        print(tensorboard_command(job.log.parent.parent))
