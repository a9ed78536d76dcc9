"""The tangent kernel that a network's initial kernel tends to as its hidden layers widen."""

from typing import Any

import torch
from torch import Tensor

from dlexp.measures.ntk import infinite_ntk
from dlexp.models.mlp import MLP
from dlexp.train.member import Member


def reason_without_limit(member: Member) -> str | None:
    """Return why the kernel has no known limit at infinite width, in one sentence, or None if it has."""
    if type(member.network) is not MLP or not member.network_settings:
        return f"a {type(member.network).__name__} is not an MLP of known settings"
    if member.network.parametrization != "ntk":
        return f"model.parametrization={member.network.parametrization} is not ntk"
    return None


def infinite_kernel(member: Member, x: Tensor) -> Tensor:
    """Return the limit on x (N, d), with the network's own scales: (N, N), for K outputs (N, N, K, K)."""
    settings: Any = member.network_settings
    *hidden, readout = member.network.linear_layers()  # type: ignore[operator]
    first = hidden[0] if hidden else readout
    kernel = infinite_ntk(
        x,
        depth=len(hidden),
        activation=settings["activation"],
        weight_std=_weight_std(first),
        bias_std=_bias_std(first),
        readout_weight_std=_weight_std(readout),
        readout_bias_std=_bias_std(readout),
        random_bias=settings.get("random_bias", False),
    ).ntk
    outputs = readout.out_features
    if outputs == 1:
        return kernel
    return kernel[:, :, None, None] * torch.eye(outputs, dtype=kernel.dtype, device=kernel.device)


def _weight_std(layer: Any) -> float:
    return float(layer.weight_scale * layer.in_features**0.5)


def _bias_std(layer: Any) -> float:
    return 0.0 if layer.bias is None else float(layer.bias_scale)
