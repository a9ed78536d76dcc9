"""A recorded computation done for many members at once: each call batched, the whole replayed."""

import operator
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from dlexp.train.replay.record import Recorder, Recording, base, written
from dlexp.train.replay.rules import RULES, Stacked

Replayed = Callable[..., list[Tensor | None]]


def batched(recording: Recording, inputs: Sequence[Tensor]) -> Replayed:
    """Return what does a recorded computation for M members at once.

    Args:
        recording: of one member.
        inputs: of all of them, stacked (M, ...): examples of the right shapes, not changed.

    Returns:
        A function of such inputs, without autograd, to the outputs (M, ...), None where there is none.
    """
    inputs = [tensor.clone() for tensor in inputs]
    members = len(inputs[0])
    with torch.no_grad(), warnings.catch_warnings(), Recorder([*inputs, *recording.constants]) as recorder:
        warnings.simplefilter("ignore")  # a call without a rule is made for one member after the other
        outputs = _interpret(recording, inputs, members)
    return _as_function(recorder.recording(outputs))


def _interpret(recording: Recording, inputs: Sequence[Tensor], members: int) -> list[Tensor | None]:
    """Make each call for all members."""
    values: dict[fx.Node, Any] = {}
    stacked_inputs = iter(inputs)
    constants = iter(recording.constants)
    changing = set(written(recording))
    for node in recording.graph.nodes:
        if node.op == "placeholder":
            given = next(stacked_inputs, None)
            values[node] = Stacked(given) if given is not None else next(constants)
        elif node.op == "call_function":
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
            made = _call(node.target, args, kwargs)
            if isinstance(made, Tensor) and node in changing and base(node) is node:
                # What members write into differs between them from then on.
                made = Stacked(made.expand(members, *made.shape).clone())
            values[node] = made
    (wanted,) = next(reversed(recording.graph.nodes)).args
    found = [None if node is None else values[node] for node in wanted]  # type: ignore[union-attr]
    return [
        one.tensor if isinstance(one, Stacked) else None if one is None else one.expand(members, *one.shape)
        for one in found
    ]


def _call(function: Any, args: Any, kwargs: Any) -> Any:
    """Make one call for all members, :class:`Stacked` among its arguments or not."""
    flat, structure = tree_flatten((args, kwargs), is_leaf=lambda value: isinstance(value, Stacked))
    positions = [index for index, value in enumerate(flat) if isinstance(value, Stacked)]
    if not positions or function is operator.getitem:
        return function(*args, **kwargs)
    if function in RULES:
        made = RULES[function](*args, **kwargs)
        if made is not NotImplemented:
            return made

    def of_member(*tensors: Tensor) -> Any:
        own = list(flat)
        for index, tensor in zip(positions, tensors, strict=True):
            own[index] = tensor
        own_args, own_kwargs = tree_unflatten(own, structure)
        made = function(*own_args, **own_kwargs)
        if isinstance(made, Tensor):
            return made
        nothing.extend(index for index, part in enumerate(made) if part is None)
        return tuple(part for part in made if part is not None)

    nothing: list[int] = []
    made = torch.vmap(of_member)(*(flat[index].tensor for index in positions))
    if isinstance(made, Tensor):
        return Stacked(made)
    parts: list[Any] = [Stacked(part) for part in made]
    for index in sorted(set(nothing)):
        parts.insert(index, None)
    return parts


def _as_function(recording: Recording) -> Replayed:
    """Return a function that makes the recorded calls, those that matter alone."""
    graph, constants = recording
    quick = {node: _quick(node) for node in recording.calls}
    graph.eliminate_dead_code(lambda node: node.op != "call_function" or _writes(node.target))
    for node in recording.calls:
        node.target = quick[node]
    forward = fx.GraphModule(torch.nn.Module(), graph).forward

    @torch.no_grad()
    def replayed(*inputs: Tensor) -> list[Tensor | None]:
        return forward(*inputs, *constants)  # type: ignore[no-any-return]

    return replayed


def _writes(call: Any) -> bool:
    return getattr(call, "_schema", None) is not None and call._schema.is_mutable


def _quick(node: fx.Node) -> Any:
    """Return the function of torch that makes nothing but a recorded call, the call itself if there is none.

    ``torch.bmm`` takes less time to get to the kernel than ``torch.ops.aten.bmm.default``.
    """
    args, kwargs = node.meta.pop("arguments", ((), {}))
    name = getattr(node.target, "__name__", "").split(".")[0]
    for function in (getattr(torch, name, None), getattr(Tensor, name, None)):
        if function is None or function is node.target:
            continue
        try:
            with _FirstCall():
                function(*args, **kwargs)
        except _Caught as caught:
            if caught.call is node.target and _are_same(caught.arguments, (args, kwargs)):
                return function
        except (TypeError, RuntimeError, ValueError):
            continue
    return node.target


class _Caught(Exception):
    def __init__(self, call: Any, arguments: Any) -> None:
        super().__init__()
        self.call, self.arguments = call, arguments


class _FirstCall(TorchDispatchMode):
    """Raises the first call in place of making it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise _Caught(func, (args, kwargs or {}))


def _are_same(one: Any, other: Any) -> bool:
    (parts, structure), (others, other_structure) = tree_flatten(one), tree_flatten(other)
    return structure == other_structure and all(
        a is b if isinstance(a, Tensor) else type(a) is type(b) and a == b
        for a, b in zip(parts, others, strict=True)
    )
