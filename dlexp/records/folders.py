"""Which folders are runs: finished, failed, unfinished and unreadable ones."""

import re
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

from dlexp.records.run import (
    DIVERGED,
    DONE,
    FAILED,
    UNFINISHED,
    UNREADABLE,
    Run,
    one_line,
    parse_result,
    texts,
)

_RUN_ID = re.compile(r".*-(?P<digest>[0-9a-f]{8})")


class NoRunsError(ValueError):
    """A folder that holds no runs."""


def read_runs(folder: str | PathLike[str]) -> list[Run]:
    """Read the runs under `folder`, or the one run that `folder` itself is, in the order of their names.

    Of folders with the same identity (the same job, reached by other overrides) the finished one counts, or
    else the newest.

    Raises:
        NoRunsError: there is no such folder, or no runs are in it.
    """
    require_runs(folder)
    folder = Path(folder)
    return _without_duplicates(map(read_run, [folder] if _is_run(folder) else _run_folders(folder)))


def require_runs(folder: str | PathLike[str]) -> None:
    """Raise ``NoRunsError`` if there is no such folder, or no runs are in it; read none of them."""
    folder = Path(folder)
    if not folder.is_dir():
        raise NoRunsError(f"There is no folder {folder}.")
    if not _is_run(folder) and not any(_run_folders(folder)):
        inner = [path for path in _folders(folder) if any(_run_folders(path))]
        hint = f" There are in {', '.join(map(str, inner[:5]))}." if inner else ""
        raise NoRunsError(f"There are no runs in {folder}.{hint}")


def read_run(folder: Path) -> Run:
    """Read one run's folder, whatever is in it."""
    try:
        return parse_result(folder)
    except FileNotFoundError:
        return _without_result(folder, UNFINISHED, None)
    except (OSError, ValueError, ArithmeticError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return _without_result(folder, UNREADABLE, one_line(f"result.json cannot be read: {reason}"))


def _is_run(folder: Path) -> bool:
    return (folder / "result.json").exists() or (folder / ".hydra").is_dir()


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _run_folders(folder: Path) -> Iterator[Path]:
    signs = ("result.json", ".hydra", "train.log", "metrics.csv")
    for path in _folders(folder):
        if _RUN_ID.fullmatch(path.name) or any((path / sign).exists() for sign in signs):
            yield path


def _without_result(folder: Path, status: str, error: str | None) -> Run:
    """Read a run without a result: what Hydra wrote before it began says which setting it belongs to."""
    config: dict[str, Any] = {}
    overrides: list[str] = []
    if (folder / ".hydra").is_dir():
        from omegaconf import OmegaConf  # reads 1e-3 as a number, unlike plain YAML

        # Another version, or a job killed while writing, may have left anything here; the run counts as well.
        try:
            overrides = texts(OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "overrides.yaml")))
            config = _resolved(OmegaConf.load(folder / ".hydra" / "config.yaml"))
        except Exception:
            config = {}
    match = _RUN_ID.fullmatch(folder.name)
    seed = config.get("seed")
    return Run(
        status=status,
        run_id=folder.name,
        identity=match["digest"] if match else "",
        seed=seed if isinstance(seed, int) else None,
        config=config,
        overrides=overrides,
        error=error,
        folder=folder,
        written=folder.stat().st_mtime,
    )


def _resolved(config: Any) -> dict[str, Any]:
    """Return what can be resolved here, where the resolvers of training are not known."""
    from omegaconf import DictConfig, ListConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    found: dict[str, Any] = {}
    for key in config:
        try:
            value = config[key]
            if isinstance(value, ListConfig):
                value = OmegaConf.to_container(value, resolve=True)
        except OmegaConfBaseException:
            continue
        found[str(key)] = _resolved(value) if isinstance(value, DictConfig) else value
    return found


def _without_duplicates(runs: Iterable[Run]) -> list[Run]:
    kept: dict[str, Run] = {}
    finished_first = {DONE: 2, FAILED: 1, DIVERGED: 1}
    ordered = sorted(runs, key=lambda run: (finished_first.get(run.status, 0), run.written), reverse=True)
    # A run without a result knows only the first eight digits of its identity, from its folder's name.
    digests = {run.identity[:8] for run in ordered if len(run.identity) > 8}
    for run in ordered:
        if not run.identity or (len(run.identity) == 8 and run.identity not in digests):
            kept[str(run.folder)] = run
        elif len(run.identity) > 8:
            kept.setdefault(run.identity, run)
    return sorted(kept.values(), key=lambda run: run.run_id)
