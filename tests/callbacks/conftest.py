"""What the tests of the callbacks share: what a run has left, and figures that are drawn but not saved."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from dlexp.records.checkpoint import load_network
from dlexp.records.recorder import Recorder
from dlexp.train.build import make_network, network_settings


@pytest.fixture
def recorded() -> Callable[[Path, str], dict[int, float]]:
    """Return a function from a run's folder and a metric to its values by step."""

    def read(folder: Path, name: str) -> dict[int, float]:
        with open(folder / "metrics.csv") as file:
            rows = [row for row in csv.DictReader(file) if row["name"] == name]
        return {int(row["step"]): float(row["value"]) for row in rows}

    return read


@pytest.fixture
def networks() -> Callable[[dict[str, Any], Path], tuple[nn.Module, nn.Module]]:
    """Return a function from a run's configuration and folder to its initial and trained network, float64."""

    def load(config: dict[str, Any], folder: Path) -> tuple[nn.Module, nn.Module]:
        first, last = (make_network(network_settings(config)).double() for _ in range(2))
        load_network(last, folder / "checkpoints" / "last.ckpt")
        return first, last

    return load


@pytest.fixture(autouse=True)
def _figures_are_not_saved(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Draw figures, but save only those of tests that have `figure` in their name: saving takes longest."""
    if "figure" not in request.node.name:
        monkeypatch.setattr(Recorder, "record_figure", lambda *_, **__: None)
