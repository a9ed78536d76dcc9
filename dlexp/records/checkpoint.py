"""A trained network on disk: a Lightning checkpoint of plain data."""

import io
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def save_checkpoint(
    folder: Path,
    network_state: Mapping[str, Tensor],
    hyperparameters: Mapping[str, Any],
    *,
    step: int,
    epoch: int,
) -> Path:
    """Write ``checkpoints/last.ckpt`` into a run's folder, whole, and return its path.

    It holds what ``SupervisedModule.load_from_checkpoint(path)`` needs, and only plain data and tensors, so
    that bare ``torch.load(path)`` opens it. Tensors are copied to the CPU: one that is a view (of a stack of
    networks, say) would otherwise take the whole of what it views along.
    """
    content = {
        "epoch": epoch,
        "global_step": step,
        "pytorch-lightning_version": _lightning_version(),
        "state_dict": {f"network.{name}": t.detach().cpu().clone() for name, t in network_state.items()},
        "hyper_parameters": dict(hyperparameters),
    }
    path = folder / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name("saving.tmp")
    # torch writing to a file would not see a full disk cut it short.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    temporary.write_bytes(buffer.getbuffer())
    if temporary.read_bytes() != buffer.getbuffer():
        raise OSError(f"{temporary} does not hold what was written into it")
    return temporary.replace(path)


@cache
def _lightning_version() -> str:
    return version("pytorch-lightning")
