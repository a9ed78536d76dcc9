"""What the tests of the measuring callbacks share."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dlexp.callbacks.base import MeasureCallback
from dlexp.training.build import make_network, network_settings
from dlexp.training.recorder import Recorder


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
        state = torch.load(folder / "checkpoints" / "last.ckpt")["state_dict"]
        last.load_state_dict({name.removeprefix("network."): value for name, value in state.items()})
        return first, last

    return load


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list that tells of each measurement whether weights, gradients and modes were left alone."""
    seen: list[bool] = []
    measure = MeasureCallback._measure_and_record

    def state(network: nn.Module) -> Any:
        named = list(network.named_parameters())
        gradients = [None if p.grad is None else p.grad.tolist() for _, p in named]
        return [m.training for m in network.modules()], [p.tolist() for _, p in named], gradients

    def watched(callback: MeasureCallback, module: Any) -> None:
        before = state(module.network)
        assert any(module.training for module in module.network.modules())
        measure(callback, module)
        seen.append(before == state(module.network))

    monkeypatch.setattr(MeasureCallback, "_measure_and_record", watched)
    return seen


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Draw figures, but save only those of tests that have `figure` in their name: saving takes longest."""
    if "figure" not in request.node.name:
        monkeypatch.setattr(Recorder, "record_figure", lambda *_, **__: None)
