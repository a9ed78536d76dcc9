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
        """Whether another computation makes the same calls that matter, with the same arguments."""
        return (
            self._in_own_numbers() == other._in_own_numbers()
            and len(self.constants) == len(other.constants)
            and (not of_constants or all(map(_are_equal, self.constants.values(), other.constants.values())))
        )

    def are_needed(self) -> list[bool]:
        """Say of each call whether it writes into a tensor or any output follows from it."""
        live = set(_values(self.outputs))
        found = []
        for call in reversed(self.calls):
            found.append(bool(written_arguments(call.function)) or not live.isdisjoint(_values(call.results)))
            if found[-1]:
                live.update(_values([call.args, call.kwargs]))
        return found[::-1]

    def _in_own_numbers(self) -> Any:
        """Return the calls that matter and the outputs, results numbered as they appear there."""
        numbers = {Value(number): number for number in range(self.inputs)}
        numbers |= {value: -1 - index for index, value in enumerate(self.constants)}

        def number(own: Any) -> Any:
            return ("value", numbers.setdefault(own, len(numbers))) if isinstance(own, Value) else own

        needed = [call for call, is_needed in zip(self.calls, self.are_needed(), strict=True) if is_needed]
        return mapped([list(map(list, needed)), self.outputs], number)

    def written(self) -> set[Value]:
        """Return the values that some call writes into, each as what it is a view of."""
        base: dict[Value, Value] = {}
        found: set[Value] = set()
        for function, args, kwargs, results in self.calls:
            viewed: list[Value] = []
            for index, argument in enumerate(function._schema.arguments):
                if argument.alias_info is not None:
                    given = args[index] if index < len(args) else kwargs.get(argument.name)
                    own = [base.get(value, value) for value in _values(given)]
                    viewed += own
                    found.update(own if argument.alias_info.is_write else ())
            for result in _values(results) if viewed else ():
                base.setdefault(result, viewed[0])
        return found


class Recorder(TorchDispatchMode):
    """Records every call that reaches torch's kernels while it is active.

    The values are those of the lone computation; what is recorded can be done again with other inputs of the
    same shapes, unless a call says otherwise: one that draws random numbers or asks for a value raises
    :class:`Unstackable`.

    Args:
        inputs: tensors that the computation starts from.

    >>> x = torch.ones(2)
    >>> with Recorder([x]) as recorder:
    ...     y = (2 * x).sum()
    >>> [call.function.__name__ for call in recorder.end([y]).calls]
    ['mul.Tensor', 'sum.default']
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


def _values(arguments: Any) -> list[Value]:
    found: list[Value] = []
    mapped(arguments, lambda own: found.append(own) if isinstance(own, Value) else None)
    return found


def written_arguments(call: Any) -> list[int]:
    """Return the positions of the arguments that a call writes into."""
    arguments = enumerate(call._schema.arguments)
    return [index for index, own in arguments if own.alias_info is not None and own.alias_info.is_write]


def _made(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make a call that can be made again."""
    if torch.Tag.data_dependent_output in func.tags:
        raise Unstackable(f"{func} asks for a value")
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
