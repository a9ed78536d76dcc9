"""A recorded computation done for many members at once: each call batched, the whole replayed."""

import contextlib
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._python_dispatch import TorchDispatchMode

from dlexp.train.replay.convolution import convolution, convolution_backward
from dlexp.train.replay.record import Call, Recorder, Recording, Unstackable, Value, mapped, written_arguments
from dlexp.train.replay.rules import RULES, Stacked, aten, rule_for

_functorch: Any = torch._C._functorch

rule_for(aten.convolution.default)(convolution)
rule_for(aten.convolution_backward.default)(convolution_backward)

Replayed = Callable[..., list[Tensor | None]]


def batched(recording: Recording, inputs: Sequence[Tensor]) -> Replayed:
    """Return what does a recorded computation for M members at once.

    Args:
        recording: of one member.
        inputs: of all of them, stacked (M, ...): examples of the right shapes, not changed.

    Returns:
        A function of such inputs, without autograd, to the outputs (M, ...), None where there is none.

    >>> x = torch.ones(2)
    >>> with Recorder([x]) as recorder:
    ...     y = (2 * x).sum()
    >>> of_three = batched(recorder.end([y]), [torch.zeros(3, 2)])
    >>> of_three(torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]))
    [tensor([ 2., 10., 18.])]
    """
    inputs = [tensor.clone() for tensor in inputs]
    given = [*inputs, *recording.constants.values()]
    with torch.no_grad(), Recorder(given) as recorder:
        outputs = _make_calls(recording, inputs)
    flat = recorder.end(outputs)
    constants = [*recording.constants.values(), *flat.constants.values()]
    forward: Replayed = _function(flat, recorder.arguments)

    @torch.no_grad()
    def replayed(*inputs: Tensor) -> list[Tensor | None]:
        return forward(*inputs, *constants)

    return replayed


def _make_calls(recording: Recording, inputs: Sequence[Tensor]) -> list[Tensor | None]:
    """Make each call for all members, and return the outputs."""
    members = len(inputs[0])
    values: dict[Value, Any] = {Value(number): Stacked(tensor) for number, tensor in enumerate(inputs)}
    values |= recording.constants
    written = recording.written()
    for call in recording.calls:
        args, kwargs = _substituted(call, values)
        made = _call(call.function, args, kwargs)
        if isinstance(call.results, Value):
            if call.results in written and isinstance(made, Tensor):
                # What members write into differs between them from then on.
                made = Stacked(made.expand(members, *made.shape).clone())
            values.setdefault(call.results, made)
        else:
            for value, one in zip(call.results or (), made or (), strict=True):
                values.setdefault(value, one)
    found = [None if value is None else values[value] for value in recording.outputs]
    return [
        one.tensor if isinstance(one, Stacked) else None if one is None else one.expand(members, *one.shape)
        for one in found
    ]


def _call(function: Any, args: Any, kwargs: Any) -> Any:
    """Make one call for all members, :class:`Stacked` among its arguments or not."""
    stacked: list[Tensor] = []
    mapped((args, kwargs), lambda own: stacked.append(own.tensor) if isinstance(own, Stacked) else None)
    if not stacked:
        return function(*args, **kwargs)
    if function in RULES:
        made = RULES[function](*args, **kwargs)
        if made is not NotImplemented:
            return made
    for index in written_arguments(function):
        if index < len(args) and not isinstance(args[index], Stacked):
            raise Unstackable(f"{function} writes what differs between members into what does not")

    def of_member(*tensors: Tensor) -> Any:
        own = iter(tensors)
        parts = mapped((args, kwargs), lambda one: next(own) if isinstance(one, Stacked) else one)
        made = function(*parts[0], **parts[1])
        is_single.append(isinstance(made, Tensor))
        made = (made,) if is_single[-1] else made or ()
        absent.append([index for index, part in enumerate(made) if part is None])
        return tuple(part for part in made if part is not None)

    is_single: list[bool] = []
    absent: list[list[int]] = []
    try:
        with _only_with_rules():
            results = torch.vmap(of_member)(*stacked)
    except RuntimeError:  # vmap has no rule: for one member after the other
        members = [of_member(*tensors) for tensors in zip(*stacked, strict=True)]
        results = [torch.stack(parts) for parts in zip(*members, strict=True)]
    made = [Stacked(part) for part in results]
    if is_single[-1]:
        return made[0]
    for index in absent[-1]:
        made.insert(index, None)
    return made


@contextlib.contextmanager
def _only_with_rules() -> Iterator[None]:
    """Let vmap raise where it would go through the members one by one, with a warning for each call."""
    was_enabled = _functorch._is_vmap_fallback_enabled()
    _functorch._set_vmap_fallback_enabled(False)
    try:
        yield
    finally:
        _functorch._set_vmap_fallback_enabled(was_enabled)


def _function(recording: Recording, arguments: Sequence[Any]) -> Callable[..., Any]:
    """Return a Python function that makes the recorded calls, those that matter alone."""
    graph = fx.Graph()
    nodes = {Value(number): graph.placeholder(f"input_{number}") for number in range(recording.inputs)}
    nodes |= {value: graph.placeholder(f"constant_{value.number}") for value in recording.constants}
    for is_needed, call, given in zip(recording.are_needed(), recording.calls, arguments, strict=True):
        if not is_needed:
            continue
        args, kwargs = _substituted(call, nodes)
        made = graph.call_function(_quick(call.function, *given), tuple(args), kwargs)
        if isinstance(call.results, Value):
            nodes.setdefault(call.results, made)
            continue
        for index, value in enumerate(call.results or ()):
            if value is not None and value not in nodes:
                nodes[value] = graph.call_function(operator.getitem, (made, index))
    graph.output([None if value is None else nodes[value] for value in recording.outputs])
    return fx.GraphModule(torch.nn.Module(), graph).forward


def _substituted(call: Call, values: Mapping[Value, Any]) -> Any:
    """Return a call's arguments with what its values stand for."""
    return mapped((call.args, call.kwargs), lambda own: values[own] if isinstance(own, Value) else own)


def _quick(call: Any, args: Any, kwargs: Any) -> Any:
    """Return the function of torch that makes nothing but this call, the call itself if there is none.

    ``torch.bmm`` takes less time to get to the kernel than ``torch.ops.aten.bmm.default``.
    """
    name = call.__name__.split(".")[0]
    for function in (getattr(torch, name, None), getattr(Tensor, name, None)):
        if function is None:
            continue
        try:
            with _FirstCall():
                function(*args, **kwargs)
        except _Caught as caught:
            if caught.call is call and _are_same(caught.arguments, (args, kwargs)):
                return function
        except (TypeError, RuntimeError, ValueError):
            continue
    return call


class _Caught(Exception):
    def __init__(self, call: Any, arguments: Any) -> None:
        super().__init__()
        self.call, self.arguments = call, arguments


class _FirstCall(TorchDispatchMode):
    """Raises the first call in place of making it."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which takes seconds to import

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise _Caught(func, (args, kwargs or {}))


def _are_same(one: Any, other: Any) -> bool:
    """Whether two calls have the same arguments: the very same tensors, and equal numbers."""

    def label(own: Any) -> Any:
        return ("tensor", id(own)) if isinstance(own, Tensor) else (type(own).__name__, own)

    return bool(mapped(one, label) == mapped(other, label))
