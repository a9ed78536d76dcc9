"""Files that are either whole or not there."""

import contextlib
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def json_text(content: Mapping[str, Any]) -> str:
    """Return a mapping as JSON, a line for each key: to be read by people too, and made by the fast encoder.

    >>> print(json_text({"seed": 0, "metrics": {"test/loss": 0.5}}), end="")
    {
    "seed": 0,
    "metrics": {"test/loss": 0.5}
    }
    """
    lines = (f"{json.dumps(str(key))}: {json.dumps(value, default=str)}" for key, value in content.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write_atomically(path: str | os.PathLike[str], content: str | bytes, *, durably: bool = True) -> Path:
    """Write `content` (text as UTF-8) to `path` so that no reader ever sees a part of it.

    A temporary file in the same folder is written, flushed to the disk and renamed over `path`: after a kill,
    a full disk or a power cut `path` holds the old content or the new one. Of two writers at once the last
    one wins, whole. Missing parent folders are made. Returns the path.

    Not `durably`, the disk is not waited for, which takes milliseconds: a power cut may then leave a part of
    the content. For files whose sizes are noted in one that is written durably, after them.

    Raises:
        OSError: the folder cannot be made or written. `path`, the error's `filename`, is then unchanged, and
            no temporary file is left.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, and without the final name: TensorBoard reads whatever has "tfevents" in its name.
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            if durably:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None  # not the temporary file's
        raise
    return path
