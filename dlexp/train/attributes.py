"""What objects keep in their attributes, as plain data and tensors, and back; what is neither is refused."""

import copy
import importlib
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_PLAIN = (type(None), bool, int, float, str)
_COLLECTIONS = {kind.__name__: kind for kind in (list, tuple, set, frozenset)}
_OF_ANY_MODULE = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class NotKept(TypeError):
    """An object that cannot be turned into plain data."""


class Attributes:
    """Turns values into plain data and tensors on the CPU, and back into equal ones.

    Numbers, texts, collections, tensors, arrays, generators, networks, and objects of dlexp's own classes
    (by their attributes; to bring them back calls no code of theirs). What is in ``known`` stands for itself,
    so that two that hold the same network still do.

    Args:
        known: objects that both sides have, by name.
        network: of which other networks are copies with weights of their own.

    >>> attributes = Attributes({}, nn.Linear(1, 1))
    >>> attributes.restore(attributes.keep({"step": 3, "seen": [torch.ones(2)]}))
    {'step': 3, 'seen': [tensor([1., 1.])]}
    """

    def __init__(self, known: Mapping[str, object], network: nn.Module) -> None:
        self.known, self.network = dict(known), network
        self._names = {id(value): name for name, value in known.items()}

    def keep(self, value: Any) -> Any:
        """Return a value as plain data; raises ``NotKept``."""
        kind = type(value)
        if kind in _PLAIN or (kind is tuple and all(type(entry) in _PLAIN for entry in value)):
            return value
        if id(value) in self._names:
            return ["known", self._names[id(value)]]
        if isinstance(value, Tensor):
            own = value.detach().cpu().clone()  # laid out as it is: sums depend on it
            return own if value.device.type == "cpu" else ["on", str(value.device), own]
        if kind is dict:
            return ["dict", [(self.keep(key), self.keep(entry)) for key, entry in value.items()]]
        if kind in _COLLECTIONS.values():
            return [kind.__name__, [self.keep(entry) for entry in value]]
        if kind is bytes:
            return ["bytes", torch.frombuffer(bytearray(value), dtype=torch.uint8) if value else None]
        if kind is np.ndarray and value.dtype.kind in "biuf":
            return ["array", torch.from_numpy(value.copy())]
        if kind is torch.Generator:
            return ["generator", value.get_state()]
        if kind is type(self.network):
            return ["network", network_state(value)]
        if kind.__module__.startswith("dlexp.") and not isinstance(value, nn.Module):
            state = list(value) if isinstance(value, tuple) else vars(value)
            return ["object", kind.__module__, kind.__qualname__, self.keep(state)]
        raise NotKept(f"a {kind.__module__}.{kind.__qualname__}")

    def restore(self, kept: Any) -> Any:
        """Return the value that plain data stand for."""
        if not isinstance(kept, list):
            return kept
        what, *rest = kept
        match what, rest:
            case "known", [name]:
                return self.known[name]
            case "on", [device, tensor]:
                return tensor.to(device)
            case "dict", [entries]:
                return {self.restore(key): self.restore(entry) for key, entry in entries}
            case "bytes", [content]:
                return b"" if content is None else content.numpy().tobytes()
            case "array", [tensor]:
                return tensor.numpy()
            case "generator", [state]:
                generator = torch.Generator()
                generator.set_state(state)
                return generator
            case "network", [state]:
                network = copy.deepcopy(self.network)
                set_network_state(network, state)
                return network
            case "object", [module, name, state]:
                return _object(module, name, self.restore(state))
            case _, [entries]:
                return _COLLECTIONS[what](self.restore(entry) for entry in entries)


def network_state(network: nn.Module) -> dict[str, Any]:
    """Return all that a network keeps: parameters, buffers, and the plain attributes of modules.

    Of torch's own modules these are numbers and texts: a foreign one may change a dropout's rate.

    Raises ``NotKept`` for a foreign module with an attribute that is no plain data, and for TorchScript.
    """
    tensors = {
        name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in _tensors(network)
    }
    plain = Attributes({}, network)
    return {
        "tensors": tensors,
        "attributes": {name: plain.keep(own) for name, own in _attributes(network).items()},
    }


@torch.no_grad()
def set_network_state(network: nn.Module, state: Mapping[str, Any]) -> None:
    """Give a network what :func:`network_state` returned of one like it."""
    for name, tensor in _tensors(network):
        tensor.copy_(state["tensors"][name])
    modules, plain = dict(network.named_modules()), Attributes({}, network)
    for name, own in state["attributes"].items():
        modules[name].__dict__.update(plain.restore(own))


def _tensors(network: nn.Module) -> "chain[tuple[str, Tensor]]":
    return chain(network.named_parameters(), network.named_buffers())


def _attributes(network: nn.Module) -> dict[str, dict[str, Any]]:
    """Return what modules keep by themselves and may change: they may count, or change a part's rate."""
    found = {}
    for name, module in network.named_modules():
        if any(getattr(module, hooks) for hooks in _HOOKS):
            raise NotKept(f"a hook of the network's module {name!r}, which may keep anything")
        if isinstance(module, torch.jit.ScriptModule):
            raise NotKept(f"the network's module {name!r} is TorchScript, which may keep anything")
        is_known = type(module).__module__.startswith(("torch.", "dlexp."))
        own = {key: value for key, value in vars(module).items() if key not in _OF_ANY_MODULE}
        found[name] = {key: v for key, v in own.items() if not is_known or type(v) in _PLAIN}
    return found


def _object(module: str, name: str, state: Any) -> Any:
    """Return an object of a class of dlexp's, none of whose code is run."""
    kind = getattr(importlib.import_module(module), name) if module.startswith("dlexp.") else None
    if not (isinstance(kind, type) and kind.__module__ == module):
        raise ValueError(f"{module}.{name} is no class of dlexp's")
    if isinstance(state, list):
        return tuple.__new__(kind, state)
    made: Any = object.__new__(kind)
    vars(made).update(state)
    return made
