"""Snapshots of groups in training: files that are whole, and used by what wrote them alone.

A file is a line of JSON that says of what it is a snapshot, and then the snapshot in bytes of any kind.
"""

import contextlib
import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlexp.records.files import write_atomically
from dlexp.records.versions import checkout, library_versions

FOLDER = ".snapshots"
"""Where they lie, within the folder of a sweep or of a lone job."""

SCHEMA = 1

log = logging.getLogger(__name__)


def path_of(folder: Path, jobs: Sequence[str]) -> Path:
    """Return the file, in a folder of snapshots, of a group of jobs given by their identities."""
    return folder / f"{hashlib.sha256(' '.join(jobs).encode()).hexdigest()[:16]}.snapshot"


def write(path: Path, jobs: Sequence[str], engine: str | None, content: bytes) -> None:
    """Write a group's snapshot in the place of the one before; ``engine`` is what the command asks for.

    Raises ``OSError`` if it cannot be written.
    """
    header = {**_maker(engine), "jobs": list(jobs), "digest": hashlib.sha256(content).hexdigest()}
    write_atomically(path, json.dumps(header).encode() + b"\n" + content)


def read(path: Path, engine: str | None) -> tuple[list[str], bytes] | None:
    """Return a snapshot's jobs and its content; None if there is none that fits, and the log then says why.

    >>> import tempfile
    >>> path = path_of(Path(tempfile.mkdtemp()), ["a", "b"])
    >>> write(path, ["a", "b"], None, b"where they stand")
    >>> read(path, None)
    (['a', 'b'], b'where they stand')
    >>> read(path, "loop") is None
    True
    """
    try:
        line, _, content = path.read_bytes().partition(b"\n")
        header = json.loads(line)
        unlike = [key for key, value in _maker(engine).items() if header[key] != value]
        if not unlike and header["digest"] == hashlib.sha256(content).hexdigest():
            return header["jobs"], content
        reason = f"it was written with other {', '.join(unlike)}" if unlike else "it is damaged"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        reason = "it is damaged"
    log.warning("the snapshot %s is not used: %s", path.name, reason)
    return None


def groups(folder: Path) -> dict[Path, list[str]]:
    """Return the jobs of each snapshot in a folder, by its file; none of one that cannot be read."""
    found: dict[Path, list[str]] = {}
    for path in sorted(folder.glob("*.snapshot")):
        try:
            with path.open("rb") as file:
                found[path] = [str(job) for job in json.loads(file.readline())["jobs"]]
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            found[path] = []
    return found


def remove(path: Path) -> None:
    """Remove a snapshot, and the folder with the last one; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()


def _maker(engine: str | None) -> dict[str, Any]:
    """Return what a snapshot's numbers depend on beside its jobs."""
    import torch

    return {
        "schema": SCHEMA,
        "versions": dict(library_versions()),
        "commit": checkout()[0],
        "engine": engine,
        "cuda": torch.cuda.is_available(),
    }
