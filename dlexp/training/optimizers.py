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

    A network with ``learning_rate_factors(name)`` (mup) gets one parameter group for each factor. Steps are
    fused where the device allows: a third of a small network's step is otherwise spent in the optimizer.
    """
    get_factors = getattr(network, "learning_rate_factors", None)
    factors: dict[str, float] = get_factors(name) if get_factors is not None else {}
    by_factor: dict[float, list[nn.Parameter]] = defaultdict(list)
    for parameter_name, parameter in network.named_parameters():
        if parameter.requires_grad:
            by_factor[factors.get(parameter_name, 1.0)].append(parameter)
    groups: list[dict[str, Any]] = [{"params": p, "lr": lr * factor} for factor, p in by_factor.items()]
    if name in ("sgd", "gradient_descent"):
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, weight_decay=weight_decay, fused=True)
    adam: type[torch.optim.Adam] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    return adam(groups, lr=lr, betas=(betas[0], betas[1]), weight_decay=weight_decay, fused=True)


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
