"""result.json: what one job ended in, written whole and last."""

import json
import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dlexp.files import write_atomically

Report = Callable[[int, int, float], None]
"""Told (step, total steps, training loss) while a job trains."""

FINISHED = ("done", "diverged")
"""The statuses of a job that need not be run again: both are what its settings lead to."""


@dataclass
class Result:
    """What a job ended in; ``status`` is ``done``, ``diverged`` or ``failed``."""

    status: str
    run_id: str
    identity: str
    seed: int
    config: dict[str, Any]
    overrides: list[str]
    metrics: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    duration_s: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"

    @property
    def is_finished(self) -> bool:
        """Whether running the job again would only repeat it."""
        return self.status in FINISHED


def write_result(folder: Path, result: Result) -> None:
    """Write ``result.json`` into a run's folder, whole; metrics that are not finite become null."""
    content = dict(vars(result))
    content["metrics"] = {k: v if math.isfinite(v) else None for k, v in result.metrics.items()}
    write_atomically(folder / "result.json", json.dumps(content, indent=1, default=str) + "\n")


def read_result(folder: Path) -> Result | None:
    """Return the stored result, or None if there is none or its file is damaged."""
    try:
        content = json.loads((folder / "result.json").read_text())
        content["metrics"] = {k: math.nan if v is None else float(v) for k, v in content["metrics"].items()}
        return Result(**content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


@cache
def library_versions() -> Mapping[str, str]:
    """Return the versions of what the numbers depend on."""
    packages = ("dlexp", "torch", "pytorch-lightning", "hydra-core", "omegaconf", "numpy")
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions
