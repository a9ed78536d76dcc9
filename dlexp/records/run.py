"""A job on disk: the one place that knows ``result.json``, ``metrics.csv`` and ``arrays.npz``.

``result.json`` holds ``schema``, ``status``, ``run_id``, ``identity``, ``seed``, ``config``, ``overrides``,
``metrics`` (name to number), ``error``, ``duration_s``, ``versions``, ``device``, ``commit`` and ``clean``
(of the checkout that trained it), and ``files``, the sizes of the other files. A final value that is not
finite is null in ``metrics``; ``not_finite`` says what it was: ``{"ntk/condition": "inf"}``. Files of
schema 1 have neither; their nulls are read as NaN.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlexp.records.files import json_text, write_atomically

if TYPE_CHECKING:
    import numpy
    import numpy.typing

SCHEMA = 2

DONE = "done"
FAILED = "failed"
DIVERGED = "diverged"
UNFINISHED = "running or interrupted"
UNREADABLE = "unreadable"

FILES = ("metrics.csv", "arrays.npz", "checkpoints/last.ckpt")
"""What a finished run may leave beside its result."""

Row = tuple[int, int, str, float]
"""A row of ``metrics.csv``: step, epoch, name, value."""


@dataclass
class Run:
    """A job and what it ended in.

    ``status`` is ``done``, ``diverged`` or ``failed``; of a folder without a result that can be read it is
    ``running or interrupted`` or ``unreadable``, and ``config`` then holds what is known of it. A metric may
    be NaN or infinite. ``extra`` keeps what a result holds beside the keys known here.

    Example:
        >>> run = Run("done", "width=2,seed=0", config={"model": {"width": 2}}, metrics={"test/loss": 0.5})
        >>> run.settings
        {'model.width': 2}
        >>> run.is_finished
        True
    """

    status: str
    run_id: str
    identity: str = ""
    seed: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    duration_s: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    device: str = ""
    commit: str | None = None
    clean: bool | None = None
    files: dict[str, int] = field(default_factory=dict)  # of the other files, their sizes in bytes
    folder: Path = Path()
    written: float = 0.0  # when the result was written, seconds since the epoch
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether running the job again would only repeat it."""
        return self.status in (DONE, DIVERGED)

    @property
    def has_result(self) -> bool:
        """Whether a result was read, good or bad."""
        return self.status in (DONE, FAILED, DIVERGED)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The configuration by dotted names (``model.width``); a list is one setting, as JSON text."""
        return flatten(self.config)

    def write(self, folder: Path) -> None:
        """Write ``result.json`` into the run's folder, whole.

        Raises:
            OSError: the folder cannot be written.
        """
        not_finite = {name: str(value) for name, value in self.metrics.items() if not math.isfinite(value)}
        content = {
            "schema": SCHEMA,
            **{name: getattr(self, name) for name in _STORED},
            "metrics": {name: None if name in not_finite else v for name, v in self.metrics.items()},
            "not_finite": not_finite,
            **self.extra,
        }
        self.folder = folder
        write_atomically(folder / "result.json", json_text(content))

    def note_files(self, folder: Path) -> None:
        """Note the sizes of the files that are to be there beside the result."""
        sizes = {name: folder / name for name in FILES}
        self.files = {name: path.stat().st_size for name, path in sizes.items() if path.exists()}

    def damage(self) -> str | None:
        """Return which file is missing or has another size than it was written with, None if none is."""
        for name, size in self.files.items():
            path = self.folder / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != size:
                return f"{name} is damaged: {path.stat().st_size} bytes of {size}"
        return None

    def rows(self) -> list[Row]:
        """Return the rows of ``metrics.csv``, in the order of recording; none if there is no such file.

        Raises:
            OSError: the file cannot be read.
            ValueError: it does not hold rows of metrics.
        """
        path = self.folder / "metrics.csv"
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            next(reader, None)
            return [(int(step), int(epoch), name, float(value)) for step, epoch, name, value in reader]

    def array_names(self) -> list[str]:
        """Return the names of the arrays of ``arrays.npz``, without reading them."""
        path = self.folder / "arrays.npz"
        if not path.exists():
            return []
        import numpy

        with numpy.load(path, allow_pickle=False) as stored:
            return list(stored.files)

    def arrays(self) -> "dict[str, numpy.typing.NDArray[numpy.generic]]":
        """Return the arrays of ``arrays.npz`` by name; none if there is no such file.

        Raises:
            OSError: the file cannot be read.
        """
        path = self.folder / "arrays.npz"
        if not path.exists():
            return {}
        import numpy

        with numpy.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}


# What result.json holds of a run as it is; the order of the file.
_STORED = tuple(f.name for f in fields(Run) if f.name not in ("folder", "written", "extra"))


def read_result(folder: Path) -> Run | None:
    """Return what a folder's ``result.json`` holds, None if there is none or none that can be read."""
    try:
        return parse_result(folder)
    except (OSError, ValueError, ArithmeticError, RecursionError):
        return None


def parse_result(folder: Path) -> Run:
    """Return the run that a folder's ``result.json`` holds.

    Raises:
        OSError: the file is not there or cannot be read.
        ValueError: it holds no result; the message says why.
    """
    path = folder / "result.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__} instead of an object")
    schema = content.pop("schema", 1)
    if not isinstance(schema, int) or schema > SCHEMA:
        raise ValueError(f"schema is {schema!r}; this version of dlexp reads up to {SCHEMA}")
    if content.get("status") not in (DONE, FAILED, DIVERGED):
        raise ValueError(f"status is {content.get('status')!r} instead of done, failed or diverged")
    for key in ("config", "metrics"):
        if not isinstance(content.get(key), dict):
            raise ValueError(f"{key} is missing")
    reasons = content.pop("not_finite", None)
    reasons = reasons if isinstance(reasons, dict) else {}
    error = content.get("error")
    clean, files = content.get("clean"), content.get("files")
    return Run(
        status=content["status"],
        run_id=folder.name,
        identity=_text(content.get("identity")) or "",
        seed=_whole(content.get("seed")),
        config=content["config"],
        overrides=texts(content.get("overrides")),
        metrics={name: _number(v, reasons.get(name)) for name, v in content["metrics"].items()},
        error=None if error is None else one_line(str(error)),
        duration_s=_number(content.get("duration_s", 0.0)),
        versions={name: str(version) for name, version in flatten(content.get("versions")).items()},
        device=_text(content.get("device")) or "",
        commit=_text(content.get("commit")),
        clean=clean if isinstance(clean, bool) else None,
        files={k: v for k, v in (files if isinstance(files, dict) else {}).items() if isinstance(v, int)},
        folder=folder,
        written=path.stat().st_mtime,
        extra={key: value for key, value in content.items() if key not in _STORED},
    )


def write_metrics(folder: Path, rows: Iterable[Row]) -> None:
    """Write ``metrics.csv`` into a run's folder, whole; long: ``step,epoch,name,value``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("step", "epoch", "name", "value"))
    writer.writerows(rows)
    write_atomically(folder / "metrics.csv", text.getvalue(), durably=False)


def write_arrays(folder: Path, arrays: "Mapping[str, numpy.typing.ArrayLike]") -> None:
    """Write ``arrays.npz`` into a run's folder, whole."""
    import numpy

    buffer = io.BytesIO()
    numpy.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(folder / "arrays.npz", buffer.getvalue(), durably=False)


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a nested configuration by dotted name; a list is a leaf, as JSON text.

    Example:
        >>> flatten({"model": {"width": 5, "sizes": [1, 2]}, "seed": 0})
        {'model.width': 5, 'model.sizes': '[1, 2]', 'seed': 0}
    """
    if not isinstance(config, dict):
        return {}
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            leaves.update(flatten(value, f"{prefix}{key}."))
        else:
            leaves[f"{prefix}{key}"] = json.dumps(value) if isinstance(value, list) else value
    return leaves


def texts(value: Any) -> list[str]:
    """Return a list's entries as text; nothing of what is no list."""
    return [str(entry) for entry in value] if isinstance(value, list) else []


def one_line(text: str) -> str:
    """Return a text with each run of white space as one blank."""
    return " ".join(text.split())


def _number(value: Any, reason: Any = None) -> float:
    """Return a stored number; of a null the value that the reason names."""
    if isinstance(value, int | float):
        return float(value)
    return float(reason) if reason in ("inf", "-inf") else math.nan


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
