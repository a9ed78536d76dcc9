"""The runs of a folder, read from disk: finished, failed, unfinished and unreadable ones."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

DONE = "done"
FAILED = "failed"
DIVERGED = "diverged"
UNFINISHED = "running or interrupted"
UNREADABLE = "unreadable"

_LAST_COLUMNS = ("duration_s", "device", "error")
_RUN_ID = re.compile(r".*-(?P<digest>[0-9a-f]{8})")


class NoRunsError(ValueError):
    """A folder that holds no runs."""


@dataclass(frozen=True)
class Run:
    """One run's folder as read: `config` is flat (`model.width`), a metric may be NaN or infinite."""

    folder: Path
    status: str
    seed: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    error: str | None = None
    duration_s: float | None = None
    device: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    identity: str | None = None
    written: float = 0.0  # when the result was written, seconds since the epoch

    @property
    def run_id(self) -> str:
        """The name of the run's folder."""
        return self.folder.name

    @property
    def has_result(self) -> bool:
        """Whether a result was read, good or bad."""
        return self.status in (DONE, FAILED, DIVERGED)


def load_runs(folder: str | PathLike[str]) -> "pandas.DataFrame":
    """Return the runs under `folder` (such as ``outputs/NAME``) as a table, one row a run.

    Columns: ``run_id``, ``status`` (``done``, ``failed``, ``diverged``, ``running or interrupted``,
    ``unreadable``), ``seed``, each setting under its dotted name (``model.width``; lists as JSON text), each
    metric under its name (``test/loss``; a diverged run has its last finite ones, so select by ``status``),
    ``duration_s``, ``device``, ``error``.

    Raises:
        NoRunsError: there is no such folder, or no runs are in it.
    """
    return as_table(read_runs(folder))


def as_table(runs: Sequence[Run]) -> "pandas.DataFrame":
    """Return `load_runs`' table of runs that were read already."""
    import pandas

    settings = dict.fromkeys(key for run in runs for key in run.config)
    metrics = dict.fromkeys(name for run in runs for name in run.metrics)
    rows = [
        {
            **run.config,
            **run.metrics,
            "run_id": run.run_id,
            "status": run.status,
            "seed": run.seed,
            "duration_s": run.duration_s,
            "device": run.device,
            "error": run.error,
        }
        for run in runs
    ]
    columns = dict.fromkeys(["run_id", "status", "seed", *settings, *metrics])
    ordered = [name for name in columns if name not in _LAST_COLUMNS]
    return pandas.DataFrame(rows, columns=[*ordered, *_LAST_COLUMNS])


def read_runs(folder: str | PathLike[str]) -> list[Run]:
    """Read the runs under `folder`, or the one run that `folder` itself is, in the order of their names.

    Of folders with the same identity (the same job, reached by other overrides) the finished one counts, or
    else the newest.

    Raises:
        NoRunsError: there is no such folder, or no runs are in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NoRunsError(f"There is no folder {folder}.")
    if (folder / "result.json").exists() or (folder / ".hydra").is_dir():
        return [_read_run(folder)]
    runs = _without_duplicates(_read_run(path) for path in _run_folders(folder))
    if not runs:
        inner = [path for path in _folders(folder) if any(_run_folders(path))]
        hint = f" There are in {', '.join(map(str, inner[:5]))}." if inner else ""
        raise NoRunsError(f"There are no runs in {folder}.{hint}")
    return runs


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _run_folders(folder: Path) -> Iterator[Path]:
    signs = ("result.json", ".hydra", "train.log", "metrics.csv")
    for path in _folders(folder):
        if _RUN_ID.fullmatch(path.name) or any((path / sign).exists() for sign in signs):
            yield path


def _read_run(folder: Path) -> Run:
    path = folder / "result.json"
    try:
        return _parse(folder, json.loads(path.read_text(encoding="utf-8")), path.stat().st_mtime)
    except FileNotFoundError:
        return _from_hydra(folder, UNFINISHED, None)
    except (OSError, ValueError, ArithmeticError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return _from_hydra(folder, UNREADABLE, f"result.json cannot be read: {reason}")


def _parse(folder: Path, result: Any, written: float) -> Run:
    if not isinstance(result, dict):
        raise ValueError(f"it holds a {type(result).__name__} instead of an object")
    status = result.get("status")
    if status not in (DONE, FAILED, DIVERGED):
        raise ValueError(f"status is {status!r} instead of done, failed or diverged")
    for key in ("config", "metrics"):
        if not isinstance(result.get(key), dict):
            raise ValueError(f"{key} is missing")
    error = result.get("error")
    return Run(
        folder=folder,
        status=status,
        seed=_seed(result.get("seed")),
        config=flatten(result["config"]),
        metrics={str(name): _number(value) for name, value in result["metrics"].items()},
        overrides=_texts(result.get("overrides")),
        error=None if error is None else _one_line(str(error)),
        duration_s=_number(result.get("duration_s")),
        device=_text(result.get("device")),
        versions={name: str(version) for name, version in flatten(result.get("versions")).items()},
        identity=_text(result.get("identity")),
        written=written,
    )


def _from_hydra(folder: Path, status: str, error: str | None) -> Run:
    """Read a run without a result: what Hydra wrote before it began says which setting it belongs to."""
    config: dict[str, Any] = {}
    overrides: tuple[str, ...] = ()
    if (folder / ".hydra").is_dir():
        from omegaconf import OmegaConf  # reads 1e-3 as a number, unlike plain YAML

        # Another version, or a job killed while writing, may have left anything here; the run counts as well.
        try:
            overrides = _texts(OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "overrides.yaml")))
            config = _resolved(OmegaConf.load(folder / ".hydra" / "config.yaml"))
        except Exception:
            config = {}
    match = _RUN_ID.fullmatch(folder.name)
    return Run(
        folder=folder,
        status=status,
        seed=_seed(config.get("seed")),
        config=config,
        overrides=overrides,
        error=None if error is None else _one_line(error),
        identity=match["digest"] if match else None,
        written=folder.stat().st_mtime,
    )


def _resolved(config: Any, prefix: str = "") -> dict[str, Any]:
    """Return the leaves that can be resolved here, where the resolvers of training are not known."""
    from omegaconf import DictConfig, ListConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    leaves: dict[str, Any] = {}
    for key in config:
        try:
            value = config[key]
            if isinstance(value, ListConfig):
                value = json.dumps(OmegaConf.to_container(value, resolve=True))
        except OmegaConfBaseException:
            continue
        if isinstance(value, DictConfig):
            leaves.update(_resolved(value, f"{prefix}{key}."))
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def _without_duplicates(runs: Iterable[Run]) -> list[Run]:
    kept: dict[str, Run] = {}
    finished_first = {DONE: 2, FAILED: 1, DIVERGED: 1}
    ordered = sorted(runs, key=lambda run: (finished_first.get(run.status, 0), run.written), reverse=True)
    # A run without a result knows only the first eight digits of its identity, from its folder's name.
    digests = {run.identity[:8] for run in ordered if run.identity and len(run.identity) > 8}
    for run in ordered:
        if run.identity is None or (len(run.identity) == 8 and run.identity not in digests):
            kept[str(run.folder)] = run
        elif len(run.identity) > 8:
            kept.setdefault(run.identity, run)
    return sorted(kept.values(), key=lambda run: run.run_id)


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a nested configuration by dotted name; a list is a leaf, as JSON text."""
    if not isinstance(config, dict):
        return {}
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            leaves.update(flatten(value, f"{prefix}{key}."))
        else:
            leaves[f"{prefix}{key}"] = json.dumps(value) if isinstance(value, list) else value
    return leaves


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _seed(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _one_line(text: str) -> str:
    return " ".join(text.split())
