"""Guards around forward passes: inputs that fit the model, and nothing left changed behind."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dlexp.measures.functional import trainable_parameters


def require_inputs(model: nn.Module, x: Tensor, name: str) -> None:
    """Refuse inputs that the model cannot take.

    Raises ``ValueError`` for no rows, another device or another floating-point type than the parameters.
    """
    parameter = next(iter(trainable_parameters(model).values()))
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"{name} has shape {tuple(x.shape)}; it must hold at least one row")
    if x.device != parameter.device:
        raise ValueError(f"{name} is on {x.device}, but the model is on {parameter.device}")
    if x.is_floating_point() and x.dtype != parameter.dtype:
        raise ValueError(f"{name} is {x.dtype}, but the model is {parameter.dtype}")


@contextmanager
def differentiable() -> Iterator[None]:
    """Record gradients whatever the caller's mode: also under ``no_grad`` and ``inference_mode``."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def unchanged_state(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Hold the model's buffers and the random generators' states, which only a stateful forward pass changes.

    Raises ``ValueError`` after restoring them if the block has changed them: such outputs are not a fixed
    function of the parameters.
    """
    buffers = {name: (buffer, buffer.clone()) for name, buffer in model.named_buffers()}
    random_state = torch.get_rng_state()
    cuda_state = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    changed = []
    try:
        yield
    finally:
        with torch.no_grad():
            now = dict(model.named_buffers())
            for name, (buffer, copy) in buffers.items():
                if now[name] is not buffer:
                    owner, _, leaf = name.rpartition(".")
                    model.get_submodule(owner)._buffers[leaf] = buffer
                    changed.append(f"buffer {name!r}")
                elif not torch.allclose(buffer, copy, rtol=0, atol=0, equal_nan=True):
                    buffer.copy_(copy)
                    changed.append(f"buffer {name!r}")
        if not torch.equal(torch.get_rng_state(), random_state):
            torch.set_rng_state(random_state)
            changed.append("the random generator")
        if cuda_state is not None and not torch.equal(torch.cuda.get_rng_state(device), cuda_state):
            torch.cuda.set_rng_state(cuda_state, device)
            changed.append("the CUDA random generator")
    if changed:
        raise ValueError(
            f"the forward pass of {type(model).__name__} changes {', '.join(changed)}, so that its outputs "
            "are not a fixed function of the parameters; call model.eval() first"
        )
