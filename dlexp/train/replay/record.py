"""What a computation does, as a list of calls: those of its forward pass and those of autograd's backward."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

DETACH = torch.ops.aten.detach.default


class Unstackable(Exception):
    """Why networks are not trained as a stack, in a few words."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of a recorded computation: first the inputs, then constants and results as they appear."""

    number: int


class Call(NamedTuple):
    """One call of a kernel: its arguments and its results, with :class:`Value` in place of tensors."""

    function: Any
    args: Any
    kwargs: Any
    results: Any


@dataclass
class Recording:
    """The calls of one computation.

    Attributes:
        inputs: how many tensors it started from.
        calls: in order.
        constants: tensors that were there before and are no input.
        outputs: None for one that there is not.
    """

    inputs: int
    calls: list[Call] = field(default_factory=list)
    constants: dict[Value, Tensor] = field(default_factory=dict)
    outputs: list[Value | None] = field(default_factory=list)

    def does_as(self, other: "Recording", *, of_constants: bool = True) -> bool:
        """Whether another computation makes the same calls, with the same arguments and constants."""
        return (
            (self.calls, self.outputs, [*self.constants]) == (other.calls, other.outputs, [*other.constants])
        ) and (not of_constants or all(map(_are_equal, self.constants.values(), other.constants.values())))

    def written(self) -> set[Value]:
        """Return the values that some call writes into, each as what it is a view of."""
        base: dict[Value, Value] = {}
        found = set()
        for function, args, kwargs, results in self.calls:
            viewed = None
            for index, argument in enumerate(function._schema.arguments):
                if argument.alias_info is None:
                    continue
                given = args[index] if index < len(args) else kwargs.get(argument.name)
                for value in given if isinstance(given, list | tuple) else [given]:
                    if not isinstance(value, Value):
                        continue
                    viewed = viewed or base.get(value, value)
                    if argument.alias_info.is_write:
                        found.add(base.get(value, value))
            for result in results if isinstance(results, list) else [results]:
                if viewed is not None and result is not None:
                    base.setdefault(result, viewed)
        return found


class Recorder(TorchDispatchMode):
    """Records every call that reaches torch's kernels while it is active.

    The values are those of the lone computation; what is recorded can be done again with other inputs of the
    same shapes, unless a call says otherwise: one that draws random numbers, asks for a value or returns a
    shape that follows from values raises :class:`Unstackable`.

    Args:
        inputs: tensors that the computation starts from.
    """

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()
        self.recording = Recording(len(inputs))
        self.arguments: list[tuple[Any, Any]] = []
        self._values: dict[int, Value] = {}
        self._alive: list[Tensor] = []  # a tensor's id is its own for as long as it lives
        for tensor in inputs:
            self._note(tensor)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which takes seconds to import

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Make a call and record it."""
        kwargs = kwargs or {}
        if func.namespace == "prim":  # asks for a property
            return func(*args, **kwargs)
        outputs = _made(func, args, kwargs)
        if func is DETACH:  # what autograd keeps of a value for the backward pass is that value
            self._values.setdefault(id(outputs), self._value(args[0]))
            self._alive.append(outputs)
            return outputs
        own_args, own_kwargs = mapped((args, kwargs), self._value)
        self.recording.calls.append(Call(func, own_args, own_kwargs, mapped(outputs, self._note)))
        self.arguments.append((args, kwargs))
        return outputs

    def end(self, outputs: Sequence[Tensor | None]) -> Recording:
        """Return what was recorded; None stands for an output that there is not."""
        self.recording.outputs = [self._value(output) for output in outputs]
        return self.recording

    def _note(self, result: Any) -> Any:
        if result is not None and not isinstance(result, Tensor):
            raise Unstackable("a step asks for a value")
        if result is not None and id(result) not in self._values:  # what writes into its argument returns it
            self._values[id(result)] = Value(len(self._alive))
            self._alive.append(result)
        return None if result is None else self._values[id(result)]

    def _value(self, argument: Any) -> Any:
        if not isinstance(argument, Tensor):
            return argument
        if id(argument) not in self._values:
            if argument.requires_grad:
                raise Unstackable("it computes with a tensor that is trained but none of its parameters")
            self.recording.constants[self._note(argument)] = argument
        return self._values[id(argument)]


def mapped(arguments: Any, change: Callable[[Any], Any]) -> Any:
    """Return arguments with every leaf of their tuples, lists and dicts changed."""
    if isinstance(arguments, tuple | list):
        return [mapped(own, change) for own in arguments]
    if isinstance(arguments, dict):
        return {name: mapped(own, change) for name, own in arguments.items()}
    return change(arguments)


def _made(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make a call that can be made again."""
    if {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags):
        raise Unstackable(f"{func} depends on values")
    if torch.Tag.nondeterministic_seeded not in func.tags:
        return func(*args, **kwargs)
    before = _generators()
    outputs = func(*args, **kwargs)
    # Attention, say, may draw and does not without dropout.
    if kwargs.get("generator") is not None or before != _generators():
        raise Unstackable(f"{func} draws random numbers")
    return outputs


def _generators() -> list[bytes]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    with _disable_current_modes():  # tensors without values stand for all that are made
        return [state.numpy().tobytes() for state in (torch.get_rng_state(), *cuda)]


def _are_equal(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)
