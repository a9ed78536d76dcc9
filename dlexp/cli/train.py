"""The command that trains: one job, or a sweep with ``-m``.

Nothing here imports torch before a job runs: ``--help``, ``--cfg job`` and tab completion answer at once.
"""

import contextlib
import os
import signal
import sys
from importlib.metadata import version
from typing import Any

from dlexp.cli.call import call
from dlexp.cli.listing import listing
from dlexp.launch.command import Command
from dlexp.records.run import DONE, Run
from dlexp.report.provenance import doubts
from dlexp.report.terminal import shown_path, tensorboard_command


def main() -> None:
    """Run the command and exit: 0 if every job is done, 1 if not, 130 or 143 if it was interrupted."""
    if sys.argv[1:] == ["--version"]:
        print(f"dlexp {version('dlexp')}")
        return
    if sys.argv[1:2] == ["--list"]:
        print(listing(" ".join(sys.argv[2:])))
        return
    sys.path.append(os.getcwd())  # where a user's own networks and measures lie
    stop = _Terminated()
    signal.signal(signal.SIGTERM, stop)
    command = Command()
    try:
        call(sys.argv[1:], command)
        code = conclude(command)
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):  # a second one does not wait, and shows no traceback
            signal.signal(number, lambda number, _: os._exit(128 + number))
        command.progress.end()
        print(
            "Interrupted: finished jobs are kept, and the same command goes on from there.", file=sys.stderr
        )
        sys.exit(143 if stop.is_called else 130)
    finally:
        command.progress.end()
    sys.exit(code)


class _Terminated:
    """Treats SIGTERM as Ctrl-C: what is finished stays, what is running leaves no result."""

    is_called = False

    def __call__(self, *_: Any) -> None:
        self.is_called = True
        raise KeyboardInterrupt


def conclude(command: Command) -> int:
    """Print what the jobs came to, a line for each that is not done last; return the exit code."""
    if command.folder is None:  # --help, --cfg and the like ran no job
        return 0
    if command.is_sweep:
        from dlexp.cli.report import report
        from dlexp.results.kept import note_duration

        with contextlib.suppress(OSError):  # the report meets it again and says so
            note_duration(command.folder, command.started)
        code = report(command.folder, trust=command.has_study)  # whose Python is then this sweep's own
    else:
        code = 0
        for run in command.runs:
            _print_run(run)
        for sentence in doubts(command.runs):
            print(sentence, file=sys.stderr)
    finished = sum(0 < run.written < command.started for run in command.runs)
    if finished == len(command.runs) > 0:
        print(f"{_runs(finished)} finished before; nothing was trained (rerun=true trains anew).")
    elif finished:
        print(f"{_runs(finished)} finished before; {len(command.runs) - finished} more were trained.")
    apart = sum("stack_difference" in run.extra for run in command.runs)
    if apart:
        print(
            f"{apart} of {len(command.runs)} networks were trained by themselves: in a stack they would have "
            "been trained otherwise (train.log says in which number).",
            file=sys.stderr,
        )
    return 1 if command.unsuccessful else code


def _runs(count: int) -> str:
    return f"{count} runs were" if count > 1 else "1 run was"


def _print_run(run: Run) -> None:
    if run.status == DONE:
        # of metrics by layer, result.json has the rest
        shown = sorted((k, v) for k, v in run.metrics.items() if k.count("/") == 1)
        values = "  ".join(f"{name} {value:.4g}" for name, value in shown)
        print(f"{run.run_id}  {values}")
    print(f"results: {shown_path(run.folder)}")
    # The folder above: pointed at a run itself, TensorBoard shows settings without metrics.
    print(tensorboard_command(run.folder.parent))
    if run.status != DONE:
        log = shown_path(run.folder / "train.log")
        print(f"{run.status}: {run.run_id}: {run.error} ({log})", file=sys.stderr)
