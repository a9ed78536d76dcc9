"""What a run's folder holds, read without dlexp; networks trained with callbacks that look at them."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback
from torch import Tensor, nn

from dlexp.records.checkpoint import load_network
from dlexp.train.build import make_member, make_network, network_settings
from dlexp.train.fit import fit
from dlexp.train.member import Member


def series(folder: Path, name: str) -> dict[int, float]:
    """Return the values of a metric by step."""
    with open(folder / "metrics.csv") as file:
        return {int(row["step"]): float(row["value"]) for row in csv.DictReader(file) if row["name"] == name}


def stored(folder: Path) -> dict[str, Tensor]:
    """Return the trained network's state."""
    state = torch.load(folder / "checkpoints" / "last.ckpt")["state_dict"]
    return {name.removeprefix("network."): value for name, value in state.items()}


def arrays_of(folder: Path) -> dict[str, np.ndarray]:
    """Return the run's arrays."""
    with np.load(folder / "arrays.npz") as arrays:
        return dict(arrays)


def networks(config: dict[str, Any], folder: Path) -> tuple[nn.Module, nn.Module]:
    """Return a run's initial and trained network, float64."""
    first, last = (make_network(network_settings(config)).double() for _ in range(2))
    load_network(last, folder / "checkpoints" / "last.ckpt")
    return first, last


def flat(network: nn.Module) -> Tensor:
    """Return a network's parameters as one vector."""
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def masks_of(folder: Path) -> dict[str, np.ndarray]:
    """Return the last masks of the callback pruning."""
    arrays = arrays_of(folder)
    return {name.removeprefix("mask/"): array for name, array in arrays.items() if name.startswith("mask/")}


def fitted(config: dict[str, Any], *callbacks: Callback, replaced: tuple[type, Any] | None = None) -> Member:
    """Return the member of a configuration, trained with further callbacks before its own.

    ``replaced``: a class of callbacks of the configuration, and what takes its place.
    """
    member = make_member(config)
    if replaced is not None:
        member.callbacks = [replaced[1] if type(c) is replaced[0] else c for c in member.callbacks]
    member.callbacks = [*callbacks, *member.callbacks]
    fit(config, [member])
    if member.error is not None:
        raise member.error
    return member
