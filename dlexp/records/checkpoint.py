"""A trained network on disk: a Lightning checkpoint of plain data."""

import io
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dlexp.records.files import write_atomically


def save_checkpoint(
    folder: Path,
    network_state: Mapping[str, Tensor],
    hyperparameters: Mapping[str, Any],
    optimizer_state: Mapping[str, Mapping[str, Tensor]],
    *,
    step: int,
    epoch: int,
) -> Path:
    """Write ``checkpoints/last.ckpt`` into a run's folder, whole, and return its path.

    It holds what ``Member.load_from_checkpoint(path)`` needs and, under ``optimizer_state``, what the
    optimizer remembers of each parameter, by name; only plain data and tensors, so that bare
    ``torch.load(path)`` opens it. Tensors are copied to the CPU: one that is a view (of a stack of networks,
    say) would otherwise take the whole of what it views along.
    """
    content = {
        "epoch": epoch,
        "global_step": step,
        "pytorch-lightning_version": _lightning_version(),
        "state_dict": {f"network.{name}": _own(t) for name, t in network_state.items()},
        "hyper_parameters": dict(hyperparameters),
        "optimizer_state": {
            name: {key: _own(value) for key, value in state.items()}
            for name, state in optimizer_state.items()
        },
    }
    # Torch writing to a file would not see a full disk cut it short.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return write_atomically(folder / "checkpoints" / "last.ckpt", buffer.getvalue(), durably=False)


def read_checkpoint(path: str | Path, map_location: Any = None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return a member's settings and weights from its ``last.ckpt``; no code of the file's choosing runs.

    Raises ``ValueError`` for a checkpoint of something else.
    """
    content = torch.load(path, map_location=map_location, weights_only=True)
    try:
        stored, weights = content["hyper_parameters"], content["state_dict"]
        return {key: stored[key] for key in ("network", "loss", "optimizer", "total_steps")}, weights
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is no checkpoint of a member: {error} is missing") from None


def load_network(network: nn.Module, path: str | Path) -> None:
    """Load the weights of a run's ``last.ckpt`` into a network of the same architecture.

    Raises ``ValueError`` for a file that is no such checkpoint, or of another architecture.
    """
    try:
        stored = torch.load(path, map_location="cpu")["state_dict"]
        network.load_state_dict({name.removeprefix("network."): value for name, value in stored.items()})
    except Exception as error:  # unpickling a file of any kind can raise anything
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"checkpoint={path} does not hold such a network: {reason}") from None


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


@cache
def _lightning_version() -> str:
    return version("pytorch-lightning")
