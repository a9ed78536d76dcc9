"""What a computation does, as a list of calls: those of its forward pass and those of autograd's backward."""

import operator
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_map_only

DETACH = torch.ops.aten.detach.default


class Unstackable(Exception):
    """Why networks are not trained as a stack, in a few words."""


class Recording(NamedTuple):
    """The calls of one computation.

    Attributes:
        graph: a placeholder for each input and constant, then the calls in order, then the outputs.
        constants: tensors that were there before and are no input; their placeholders follow the inputs'.
    """

    graph: fx.Graph
    constants: list[Tensor]

    @property
    def calls(self) -> list[fx.Node]:
        """The calls, in order."""
        return [node for node in self.graph.nodes if node.op == "call_function"]

    def signature(self, *, with_arguments: bool = True) -> list[Any]:
        """Return what two recordings have in common that do the same: each call, and with what."""
        number = {node: index for index, node in enumerate(self.graph.nodes)}

        def plain(arguments: Any) -> Any:
            return fx.node.map_arg(arguments, lambda node: f"value {number[node]}")

        return [
            (node.op, node.target if node.op == "call_function" else None)
            + ((repr(plain(node.args)), repr(plain(node.kwargs))) if with_arguments else ())
            for node in self.graph.nodes
        ]


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
        self._graph = fx.Graph()
        self._constants: list[Tensor] = []
        self._nodes: dict[int, fx.Node] = {}
        self._alive: list[Tensor] = []  # a tensor's id is its own for as long as it lives
        for index, tensor in enumerate(inputs):
            self._note(tensor, self._graph.placeholder(f"input_{index}"))
        self._last_placeholder = next(reversed(self._graph.nodes), None)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Make a call and record it."""
        kwargs = kwargs or {}
        if func.namespace == "prim":  # asks for a property
            return func(*args, **kwargs)
        outputs = _made(func, args, kwargs)
        if func is DETACH:  # what autograd keeps of a value for the backward pass is that value
            self._note(outputs, self._node(args[0]))
            return outputs
        own_args, own_kwargs = tree_map_only(Tensor, self._node, (args, kwargs))
        node = self._graph.call_function(func, own_args, own_kwargs)
        node.meta["arguments"] = args, kwargs
        if isinstance(outputs, Tensor):
            self._note(outputs, node)
        elif isinstance(outputs, tuple | list):
            for index, output in enumerate(outputs):
                if isinstance(output, Tensor) and id(output) not in self._nodes:
                    self._note(output, self._graph.call_function(operator.getitem, (node, index)))
        elif outputs is not None:
            raise Unstackable(f"{func} asks for a value")
        return outputs

    def recording(self, outputs: Sequence[Tensor | None]) -> Recording:
        """Return what was recorded; None stands for an output that there is not."""
        self._graph.output([None if output is None else self._node(output) for output in outputs])
        return Recording(self._graph, self._constants)

    def _note(self, tensor: Tensor, node: fx.Node) -> None:
        if id(tensor) not in self._nodes:  # what writes into its argument returns it
            self._nodes[id(tensor)] = node
            self._alive.append(tensor)

    def _node(self, tensor: Tensor) -> fx.Node:
        if id(tensor) not in self._nodes:
            if tensor.requires_grad:
                raise Unstackable("it computes with a tensor that is trained but none of its parameters")
            with self._graph.inserting_after(self._last_placeholder):
                self._last_placeholder = self._graph.placeholder(f"constant_{len(self._constants)}")
            self._constants.append(tensor)
            self._note(tensor, self._last_placeholder)
        return self._nodes[id(tensor)]


def written(recording: Recording) -> Iterator[fx.Node]:
    """Yield the values that some call writes into, each as what it is a view of."""
    for node in recording.calls:
        schema = getattr(node.target, "_schema", None)
        for index, argument in enumerate(schema.arguments if schema is not None else ()):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            given = node.args[index] if index < len(node.args) else node.kwargs.get(argument.name)
            for value in given if isinstance(given, list | tuple) else [given]:
                if isinstance(value, fx.Node):
                    yield base(value)


def base(node: fx.Node) -> fx.Node:
    """Return what a value is a view of, through all views between; itself if it is none."""
    while node.op == "call_function":
        if node.target is operator.getitem:
            node = node.args[0]  # type: ignore[assignment]
            continue
        schema = node.target._schema  # type: ignore[union-attr]
        viewed = [
            node.args[index]
            for index, argument in enumerate(schema.arguments[: len(node.args)])
            if argument.alias_info is not None
        ]
        if not viewed or not any(returned.alias_info is not None for returned in schema.returns):
            return node
        (node, *_) = viewed  # type: ignore[assignment]
    return node


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
