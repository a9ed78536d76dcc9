"""The training command in processes of its own that can be sent signals, and what it left on disk."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = [
    *("name=s", "data.n_train=20", "data.n_test=9", "data.input_dim=4", "model.width=5"),
    *("trainer.precision=64-true", "trainer.accelerator=cpu", "logger=none"),
]


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """Start ``python scripts/train.py`` in a folder, whose modules it can import."""
    paths = [str(cwd), str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, str(REPOSITORY / "scripts" / "train.py"), *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        # a shell starts its background jobs with SIGINT ignored, and the tests may be one
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def code_of(*arguments: str, cwd: Path) -> int:
    """Run the command to its end; return its exit code."""
    process = start(*arguments, cwd=cwd)
    process.communicate(timeout=300)
    return process.returncode


def wait_for(condition: Callable[[], object], seconds: float = 200) -> None:
    """Wait until something is so; fail if it does not come about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def children(process: int) -> list[int]:
    """Return the processes that a process has started, and those that these have."""
    try:
        own = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []
    return [number for child in map(int, own) for number in (child, *children(child))]


def results(folder: Path) -> dict[str, dict]:
    """Return what the jobs of a sweep ended in, by their folders' names."""
    paths = folder.glob("outputs/s/*/result.json")
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


def statuses(folder: Path) -> list[str]:
    """Return how the jobs of a sweep ended, sorted."""
    return sorted(result["status"] for result in results(folder).values())


def stamps(folder: Path) -> dict[str, int]:
    """Return when the results of a sweep were written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.glob("outputs/s/*/result.json")}
