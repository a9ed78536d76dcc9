"""The names under which training imports what a job ended in: :mod:`dlexp.records.run`."""

from collections.abc import Callable
from pathlib import Path

from dlexp.records.run import Run as Result
from dlexp.records.run import read_result
from dlexp.records.versions import checkout, library_versions

__all__ = ["Report", "Result", "library_versions", "read_result", "write_result"]

Report = Callable[[int, int, float], None]
"""Told (step, total steps, training loss) while a job trains."""


def write_result(folder: Path, result: Result) -> None:
    """Write ``result.json`` into a run's folder, whole."""
    result.commit, result.clean = checkout()
    result.write(folder)
