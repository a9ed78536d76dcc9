"""The training command in processes of its own, each fresh, which can be made to fail or to die at a write.

Importing torch and Lightning takes seconds, so that a process that has done nothing else (this file, run as a
script) is forked for each command.
"""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.laws import runs
from tests.laws.runs import Config

REPOSITORY = Path(__file__).resolve().parents[2]
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND


@dataclass(frozen=True)
class Fault:
    """What is to go wrong in a process.

    Attributes:
        kind: ``error``: a write is refused as on a full disk, ``full``: all from there on; ``kill``: the
            process dies in its place; ``size``: no file can grow beyond a size, so that larger ones are cut
            short; ``clock``: the process dies after so many ms; ``files``: no more can be open at once.
        at: the number of the write (a file opened for writing, renamed, removed, a folder made), the size,
            the time or the number.
        within: the folder whose writes count.
    """

    kind: str
    at: int
    within: str


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (-9 if killed), what it printed, how many writes it began."""

    code: int
    output: str
    writes: int


class Processes:
    """Runs the training command, or jobs without it, a process for each, one at a time."""

    def __init__(self) -> None:
        paths = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": paths},
        )

    def command(
        self,
        *arguments: str,
        cwd: Path,
        fault: Fault | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run ``python scripts/train.py`` with these arguments in a folder, to its end."""
        return self._ask(cwd, fault, arguments=arguments, environment=dict(environment or {}))

    def train(self, configs: Sequence[Config], folder: Path, fault: Fault | None = None) -> Ended:
        """Train jobs into the folders ``0``, ``1``, ... of a folder, those that may share a stack as one."""
        return self._ask(folder, fault, configs=configs)

    def _ask(self, folder: Path, fault: Fault | None, **what: Any) -> Ended:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        folder.mkdir(parents=True, exist_ok=True)
        request = {"folder": str(folder), "fault": asdict(fault) if fault else None, **what}
        print(json.dumps(request), file=self._server.stdin, flush=True)
        return Ended(**json.loads(self._server.stdout.readline()))

    def close(self) -> None:
        """End the process that is forked."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(timeout=60)
        self._server.stdout.close()


def _serve() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        folder = Path(request["folder"])
        printed, counted = (folder.with_name(f".{folder.name}.{what}") for what in ("printed", "counted"))
        child = os.fork()
        if child == 0:
            _run(request, printed, counted)
        _, status = os.waitpid(child, 0)
        writes = int(counted.read_text() or 0)
        ended = Ended(os.waitstatus_to_exitcode(status), printed.read_text(errors="replace"), writes)
        print(json.dumps(asdict(ended)), flush=True)


def _run(request: dict[str, Any], printed: Path, counted: Path) -> None:
    """Do in a forked process what is asked for, and end the process."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    out, counter = os.open(printed, flags), os.open(counted, flags)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(request["folder"])
    os.environ |= request.get("environment", {})
    if request["fault"]:
        _let_happen(Fault(**request["fault"]), counter)
    code = 1
    try:
        if "configs" in request:
            runs.train_together(request["configs"], Path(request["folder"]))
        else:
            sys.argv = [str(REPOSITORY / "scripts" / "train.py"), *request["arguments"]]
            runs.main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        print(error)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _let_happen(fault: Fault, counter: int) -> None:
    """Count the writes of this process, and let the fault happen; one at -1 never does."""
    limits = {"size": resource.RLIMIT_FSIZE, "files": resource.RLIMIT_NOFILE}
    if fault.kind in limits:
        resource.setrlimit(limits[fault.kind], (fault.at, fault.at))
        return
    if fault.kind == "clock":
        signal.setitimer(signal.ITIMER_REAL, fault.at / 1000)  # nothing catches what it sends
        return
    within, count = os.path.abspath(fault.within), 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if not _is_write(event, arguments, within):
            return
        os.pwrite(counter, str(count + 1).encode(), 0)
        count += 1
        takes_space = event in ("open", "os.mkdir")
        if count - 1 != fault.at and not (fault.kind == "full" and takes_space and count > fault.at):
            return
        if fault.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault.kind in ("error", "full"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))

    sys.addaudithook(hook)


def _is_write(event: str, arguments: tuple[Any, ...], within: str) -> bool:
    if event == "open":
        path, _, flags = arguments
        if not flags & WRITES:
            return False
    elif event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"):
        path = arguments[0]
    else:
        return False
    return isinstance(path, str | bytes | os.PathLike) and os.path.abspath(os.fsdecode(path)).startswith(
        within
    )


if __name__ == "__main__":
    _serve()
