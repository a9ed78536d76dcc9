"""A process's hold on a job: a marker in the run's folder, refreshed for as long as the process lives.

A marker is made by exclusive creation, which every file system has, network ones too, and which needs no open
file; a lock of the system's does not exist everywhere and costs a file for each of a sweep's jobs.
"""

import contextlib
import errno
import math
import os
import socket
import threading
import time
import uuid
from functools import cache
from pathlib import Path

MARKER = ".running"
"""In the folder of a job that is in training; left behind by a process that died."""

HEARTBEAT_S = 10.0
"""How often a process refreshes its markers."""

STALE_S = 90.0
"""After how long without a refresh a marker of another machine counts as left behind."""

_held: set[Path] = set()
_heart: threading.Thread | None = None


def take(folder: Path) -> bool:
    """Take hold of a job, also of one whose holder is gone; False if another process is at it.

    Raises ``OSError`` if the folder cannot be written.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> take(folder), take(folder)
    (True, False)
    >>> release(folder)
    >>> take(folder)
    True
    """
    marker = folder / MARKER
    for _ in range(2):
        try:
            descriptor = os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            if not was_left_behind(folder):
                return False
            _remove(marker)
            continue
        with os.fdopen(descriptor, "w") as file:
            file.write(_owner(os.getpid()))
        _held.add(marker)
        _beat()
        return True
    return False


def release(folder: Path) -> None:
    """Let go of a job that this process holds; nothing happens for one that it does not."""
    marker = folder / MARKER
    if marker in _held:
        _held.discard(marker)
        with contextlib.suppress(OSError):  # it is left behind, and taken over when this process is gone
            marker.unlink(missing_ok=True)


def wait(folder: Path, at_most_s: float = math.inf) -> None:
    """Take hold of a job as soon as the process that is at it lets go or is gone.

    Raises ``TimeoutError`` if that has not come about in time.
    """
    began = time.monotonic()
    while not take(folder):
        if time.monotonic() - began > at_most_s:
            raise TimeoutError(errno.ETIMEDOUT, "another process is at it", str(folder))
        time.sleep(0.1)


def was_left_behind(folder: Path) -> bool:
    """Whether a job was in training when its process died."""
    marker = folder / MARKER
    if marker in _held:
        return False
    try:
        owner, refreshed = marker.read_text(), marker.stat().st_mtime
    except OSError:
        return False
    host, _, process = owner.partition(" ")
    if host == socket.gethostname():
        number, _, started = process.partition(" ")
        return not number.isdigit() or _started(int(number)) != started or int(number) == os.getpid()
    return _now(folder) - refreshed > STALE_S


@cache
def _owner(process: int) -> str:
    return f"{socket.gethostname()} {process} {_started(process)}"


def _started(process: int) -> str | None:
    """Return what tells a process from a later one of its number, None if there is none such."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        pass
    try:  # where there is no /proc
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""


def _now(folder: Path) -> float:
    """Return the time by the clock of the folder's file server."""
    probe = folder / f".{uuid.uuid4().hex}.tmp"
    try:
        probe.touch()
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _remove(marker: Path) -> None:
    """Remove a marker that was left behind; of several processes that try, one does."""
    aside = marker.with_name(f".{uuid.uuid4().hex}.tmp")
    with contextlib.suppress(FileNotFoundError):
        os.rename(marker, aside)
        aside.unlink()


def _beat() -> None:
    """Refresh this process's markers from now on."""
    global _heart
    if _heart is None or not _heart.is_alive():
        _heart = threading.Thread(target=_refresh, name="dlexp-leases", daemon=True)
        _heart.start()


def _refresh() -> None:
    while True:
        time.sleep(HEARTBEAT_S)
        for marker in list(_held):
            with contextlib.suppress(OSError):
                os.utime(marker)
