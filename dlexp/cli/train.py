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

from dlexp.config.resolve import conf_directory, register, to_plain
from dlexp.sweeps import session


def train(config: DictConfig) -> float | None:
    """Run one job; the task function that Hydra calls. Returns the objective for Hydra's sweepers."""
    from dlexp.training.job import run_job

    state = session.current
    runtime = HydraConfig.get()
    folder = Path(runtime.runtime.output_dir)
    result = run_job(to_plain(config), list(runtime.overrides.task), folder, state.progress.report)
    state.ended.append(session.Ended(folder.name, result.status, result.error, folder / "train.log"))
    return result.metrics.get(config.objective)


def main() -> None:
    """Run the command and exit: 0 if every job is done, 1 if not, 130 or 143 if it was interrupted."""
    register()
    signal.signal(signal.SIGTERM, _on_sigterm)
    command: Any = hydra.main(version_base="1.3", config_path=str(conf_directory()), config_name="train")(
        train
    )
    interrupted = 0
    try:
        command()
    except Interrupted as interrupt:
        interrupted = interrupt.exit_code
    except KeyboardInterrupt:
        interrupted = 130
    finally:
        session.current.progress.end()
    sys.exit(interrupted or conclude(session.current))


class Interrupted(KeyboardInterrupt):
    """SIGTERM, treated as Ctrl-C is: what is finished stays, what is running leaves no result."""

    exit_code = 143


def _on_sigterm(*_: Any) -> None:
    raise Interrupted


def conclude(state: session.Session) -> int:
    """Print what the jobs came to; return the exit code."""
    if state.folder is None:  # --help, --cfg and the like ran no job
        return 0
    print(state.ended)
    return 1 if state.unsuccessful else 0
