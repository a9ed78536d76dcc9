"""Optimizers over the layers' own learning rates, and learning-rate schedules as pure functions."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


def make_optimizer(
    network: nn.Module,
    *,
    name: str,
    lr: float,
    momentum: float = 0.0,
    betas: Sequence[float] = (0.9, 0.999),
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Return the optimizer ``name`` over the trainable parameters of ``network``.

    A network with ``learning_rate_factors(name)`` (mup) gets one parameter group for each factor.
    """
    factors = learning_rate_factors(network, name)
    by_factor: dict[float, list[nn.Parameter]] = defaultdict(list)
    for parameter_name, parameter in network.named_parameters():
        if parameter.requires_grad:
            by_factor[factors.get(parameter_name, 1.0)].append(parameter)
    return optimizer_over(
        [
            {"params": p, **group_settings(name, lr * factor, momentum, betas, weight_decay)}
            for factor, p in by_factor.items()
        ],
        name,
    )


def learning_rate_factors(network: nn.Module, name: str) -> dict[str, float]:
    """Return what multiplies the learning rate, by parameter name; 1 where a name is missing."""
    get_factors = getattr(network, "learning_rate_factors", None)
    return get_factors(name) if get_factors is not None else {}


def group_settings(
    name: str, lr: float, momentum: float, betas: Sequence[float], weight_decay: float
) -> dict[str, Any]:
    """Return the settings of one parameter group of the optimizer ``name``."""
    if name in ("sgd", "gradient_descent"):
        return {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
    return {"lr": lr, "betas": (betas[0], betas[1]), "weight_decay": weight_decay}


def optimizer_over(groups: list[dict[str, Any]], name: str) -> torch.optim.Optimizer:
    """Return the optimizer ``name`` over parameter groups that hold their settings.

    Steps are fused: a third of a small network's step is otherwise spent in the optimizer.
    """
    if name in ("sgd", "gradient_descent"):
        return torch.optim.SGD(groups, fused=True)
    adam: type[torch.optim.Adam] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    return adam(groups, fused=True)


class LearningRates:
    """The learning rates of an optimizer's parameter groups, to be scaled together.

    Args:
        optimizer: its groups hold the full rates, and keep them as ``initial_lr``.
        as_tensor: whether the rates of all groups are to be views of one tensor on the parameters' device, in
            float32: steps that were recorded there then see them change.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, *, as_tensor: bool = False) -> None:
        self._groups = optimizer.param_groups
        self._full = [float(group.setdefault("initial_lr", group["lr"])) for group in self._groups]
        self._tensors: tuple[torch.Tensor, torch.Tensor] | None = None
        if as_tensor:
            device = self._groups[0]["params"][0].device
            full = torch.tensor(self._full, dtype=torch.float32, device=device)
            self._tensors = full, full.clone()
            for group, rate in zip(self._groups, self._tensors[1].unbind(), strict=True):
                group["lr"] = rate

    def scale(self, factor: float) -> None:
        """Set every rate to ``factor`` times its full value."""
        if self._tensors is not None:
            full, present = self._tensors
            torch.mul(full, factor, out=present)
            return
        for group, rate in zip(self._groups, self._full, strict=True):
            group["lr"] = rate * factor


def learning_rate_factor(schedule: str, step: int, total_steps: int) -> float:
    """Return what multiplies the learning rate at ``step`` (0-based) of ``total_steps``.

    With t = step / total_steps: ``constant``: 1; ``linear``: 1 - t; ``cosine``: (1 + cos(pi t)) / 2
    (Loshchilov & Hutter 2017, eq. 5, without restarts). The first step has the full rate.
    """
    if schedule == "constant":
        return 1.0
    t = min(step / total_steps, 1.0)
    if schedule == "linear":
        return 1.0 - t
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * t))
    raise ValueError(f"schedule={schedule!r} is unknown; allowed: constant, cosine, linear")
