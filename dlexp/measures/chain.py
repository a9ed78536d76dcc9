"""The one recogniser of chains: linear layers, each followed by at most one elementwise activation.

Layer-wise kernels, batched searches, matchings of units and stacked training know the structure of a chain
and nothing else. So a module is a chain only if everything about it is on a list: exact types, no hooks, no
parametrisations, nothing shared. Whatever is not known to be a chain is none, and takes the general path.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from dlexp.models.activations import Erf
from dlexp.models.layers import ScaledLinear

ACTIVATIONS: tuple[type[nn.Module], ...] = (
    Erf,
    nn.CELU,
    nn.ELU,
    nn.GELU,
    nn.Hardshrink,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardtanh,
    nn.Identity,
    nn.LeakyReLU,
    nn.LogSigmoid,
    nn.Mish,
    nn.ReLU,
    nn.ReLU6,
    nn.SELU,
    nn.Sigmoid,
    nn.SiLU,
    nn.Softplus,
    nn.Softshrink,
    nn.Softsign,
    nn.Tanh,
    nn.Tanhshrink,
    nn.Threshold,
)
"""Modules without parameters, buffers or randomness that apply one function to every entry."""

_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_PARAMETER_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


@dataclass(frozen=True)
class ChainLayer:
    """``activation(weight_scale * x W^T + bias_scale * b)``, one layer of a chain.

    Attributes:
        name: of the linear layer, as in ``network.named_modules()`` ("" where it is the network itself).
        linear: an ``nn.Linear`` or a :class:`~dlexp.models.layers.ScaledLinear`, the network's own.
        activation: of one of the types :data:`ACTIVATIONS`; None where the layer's outputs are passed on, be
            it through an ``nn.Identity``.
    """

    name: str
    linear: nn.Linear
    activation: nn.Module | None

    @property
    def weight_scale(self) -> float:
        """The constant that multiplies the weight: 1 for a plain ``nn.Linear``."""
        return float(self.linear.weight_scale) if isinstance(self.linear, ScaledLinear) else 1.0

    @property
    def bias_scale(self) -> float:
        """The constant that multiplies the bias: 1 for a plain ``nn.Linear``."""
        return float(self.linear.bias_scale) if isinstance(self.linear, ScaledLinear) else 1.0

    @property
    def is_trained(self) -> bool:
        """Whether the weight and, if there is one, the bias are trainable."""
        return all(parameter.requires_grad for parameter in self.linear.parameters())


def chain_of(network: nn.Module, *, allow_frozen: bool = False) -> tuple[ChainLayer, ...] | None:
    """Return the layers of a network that is a chain, from input to output, or None.

    A chain is a linear layer, or an ``nn.Sequential`` (nested or not; subclasses only with its own forward)
    of linear layers, each followed by at most one activation. ``allow_frozen`` lets frozen parameters pass.
    :func:`why_no_chain` tells what stands against it.

    >>> from torch import nn
    >>> [(layer.name, layer.activation) for layer in chain_of(nn.Sequential(nn.Linear(3, 5), nn.Tanh()))]
    [('0', Tanh())]
    >>> chain_of(nn.Sequential(nn.Linear(3, 5), nn.Softmax(dim=1))) is None
    True
    """
    return None if why_no_chain(network, allow_frozen=allow_frozen) is not None else _layers(network)


def require_chain(network: nn.Module, argument: str) -> tuple[ChainLayer, ...]:
    """Return :func:`chain_of` a network, frozen parameters allowed.

    Raises ``ValueError``, naming ``argument``, where the network is no chain.

    >>> from torch import nn
    >>> require_chain(nn.Sequential(nn.Linear(3, 5), nn.Dropout()), "model_a")
    Traceback (most recent call last):
    ValueError: model_a must be a chain of linear layers and activations, but module '1' is a Dropout
    """
    reason = why_no_chain(network, allow_frozen=True)
    if reason is not None:
        raise ValueError(f"{argument} must be a chain of linear layers and activations, but {reason}")
    return _layers(network)


def why_no_chain(network: nn.Module, *, allow_frozen: bool = False) -> str | None:
    """Return in one sentence why a network is no chain, None if it is one; see :func:`chain_of`.

    >>> from torch import nn
    >>> why_no_chain(nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.BatchNorm1d(5)))
    "module '2' is a BatchNorm1d"
    """
    if torch_module._has_any_global_hook():
        return "torch has a hook on all modules"
    seen: dict[object, str] = {}
    modules: list[nn.Module] = []
    for name, module in _leaves("", network):
        reason = _oddity(name, module, allow_frozen)
        if reason is not None:
            return reason
        for part, label in ((id(module), _called(name)), *_memory(name, module)):
            if part in seen:
                return f"{label} is {seen[part]} again"
            seen[part] = label
        if not (_is_container(module) or type(module) is nn.Identity):
            modules.append(module)
    return _wrong_order(modules)


def _leaves(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield containers and what they hold in the order of the forward pass, repeated modules repeatedly."""
    yield name, module
    if _is_container(module):
        for key, child in module._modules.items():
            if child is not None:
                yield from _leaves(f"{name}.{key}" if name else key, child)


def _is_container(module: nn.Module) -> bool:
    kind = type(module)
    return (
        isinstance(module, nn.Sequential)
        and kind.forward is nn.Sequential.forward
        and kind.__iter__ is nn.Sequential.__iter__  # type: ignore[attr-defined]
        and kind.__call__ is nn.Module.__call__
    )


def _oddity(name: str, module: nn.Module, allow_frozen: bool) -> str | None:
    """Return what makes one module another than its type says, or its type one that is not listed."""
    label, kind = _called(name), type(module)
    is_linear = kind in (nn.Linear, ScaledLinear)
    if not (is_linear or kind in ACTIVATIONS or _is_container(module)):
        return f"{label} is a {kind.__name__}"
    if any(getattr(module, hooks) for hooks in _HOOKS):
        return f"{label} has hooks"
    if "forward" in vars(module) or module._compiled_call_impl is not None:
        return f"{label} has a forward of its own"
    if any(buffer is not None for buffer in module._buffers.values()):
        return f"{label} has buffers"
    own = {key: p for key, p in module._parameters.items() if p is not None}
    if not is_linear:
        if None in module._modules.values():
            return f"{label} holds None in place of a module"
        return f"{label} has parameters" if own else None
    assert isinstance(module, nn.Linear)
    if not {"weight"} <= set(own) <= {"weight", "bias"}:
        return f"{label} has other parameters than a weight and a bias"
    shapes = {"weight": (module.out_features, module.in_features), "bias": (module.out_features,)}
    for key, parameter in own.items():
        if type(parameter) is not nn.Parameter or parameter.layout is not torch.strided:
            return f"the {key} of {label} is no plain parameter"
        if not parameter.is_floating_point() or tuple(parameter.shape) != shapes[key]:
            return f"the {key} of {label} is {parameter.dtype} of shape {tuple(parameter.shape)}"
        if any(getattr(parameter, hooks, None) for hooks in _PARAMETER_HOOKS):
            return f"the {key} of {label} has hooks"
        if not (parameter.requires_grad or allow_frozen):
            return f"the {key} of {label} is frozen"
    scales = [getattr(module, key, 1.0) for key in ("weight_scale", "bias_scale")]
    if not all(isinstance(scale, int | float) for scale in scales):
        return f"{label} has multipliers that are no numbers"
    return None


def _called(name: str) -> str:
    return f"module {name!r}" if name else "the network itself"


def _memory(name: str, module: nn.Module) -> list[tuple[tuple[str, int], str]]:
    """Return where each parameter lies, which also tells parameters that are views of one memory."""
    own = module._parameters.items()
    return [(("memory", p.data_ptr()), f"the {key} of {_called(name)}") for key, p in own if p is not None]


def _wrong_order(modules: list[nn.Module]) -> str | None:
    if not modules or not isinstance(modules[0], nn.Linear):
        return "it does not begin with a linear layer"
    for before, module in pairwise(modules):
        if not isinstance(before, nn.Linear) and not isinstance(module, nn.Linear):
            return f"a {type(before).__name__} is followed by a {type(module).__name__}"
    linears = [module for module in modules if isinstance(module, nn.Linear)]
    for before, after in pairwise(linears):
        if before.out_features != after.in_features:
            return f"a layer puts out {before.out_features} numbers where the next takes {after.in_features}"
    if len({(p.dtype, p.device) for linear in linears for p in linear.parameters()}) > 1:
        return "its parameters are of several types or on several devices"
    return None


def _layers(network: nn.Module) -> tuple[ChainLayer, ...]:
    modules = [
        (name, module)
        for name, module in _leaves("", network)
        if not (_is_container(module) or type(module) is nn.Identity)
    ]
    followers = [module for _, module in modules[1:]] + [None]
    return tuple(
        ChainLayer(name, module, follower if not isinstance(follower, nn.Linear) else None)
        for (name, module), follower in zip(modules, followers, strict=True)
        if isinstance(module, nn.Linear)
    )
