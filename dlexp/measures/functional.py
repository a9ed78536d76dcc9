"""The one way to call a module as a function of its trainable parameters.

A point in weight space is a flat vector ``(P,)``, the trainable parameters in the order of
``model.named_parameters()``; a batch of points is ``(B, P)``. Measures work on a private copy: nothing here
changes the model, its mode, its gradients or a random generator.
"""

import copy
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from dlexp.measures.backward import BackwardProducts
from dlexp.measures.batching import Batching
from dlexp.measures.chain import chain_of
from dlexp.measures.determinism import require_deterministic, require_fixed, require_inputs
from dlexp.measures.isolation import RightDerivatives, chain_copy, differentiable, ordinary, private_copy

Loss = Callable[[Tensor, Tensor], Tensor]
"""Maps (outputs, targets) to a scalar, the mean over the rows."""


def mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over all entries of (f - y)^2.

    Written out because forward-over-reverse differentiation of ``F.mse_loss`` fails in torch 2.13.

    Raises ``ValueError`` where the shapes differ: (N,) against (N, 1) would be N^2 differences.

    >>> mean_squared_error(torch.tensor([[1.0], [3.0]]), torch.zeros(2, 1))
    tensor(5.)
    """
    if outputs.shape != targets.shape:
        raise ValueError(_differing(outputs, targets))
    return ((outputs - targets) ** 2).mean()


def trainable_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return the trainable parameters by name, detached (they share the model's memory).

    Raises ``ValueError`` if there are none.

    >>> list(trainable_parameters(nn.Linear(3, 2)))
    ['weight', 'bias']
    """
    parameters = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    if not parameters:
        raise ValueError(f"{type(model).__name__} has no trainable parameters to measure")
    return parameters


def parameter_vector(model: nn.Module) -> Tensor:
    """Return a copy of the trainable parameters as one vector (P,).

    >>> parameter_vector(nn.Linear(3, 2)).shape
    torch.Size([8])
    """
    return torch.cat([p.reshape(-1) for p in trainable_parameters(model).values()])


def unflatten(vector: Tensor, like: dict[str, Tensor]) -> dict[str, Tensor]:
    """Split (..., P) into named tensors (..., *shape) shaped as in ``like`` (views where possible).

    Raises ``ValueError`` if the last dimension is not the number of parameters.

    >>> unflatten(torch.arange(3.0), {"a": torch.zeros(2), "b": torch.zeros(1)})
    {'a': tensor([0., 1.]), 'b': tensor([2.])}
    """
    sizes = [p.numel() for p in like.values()]
    if vector.shape[-1] != sum(sizes):
        raise ValueError(f"the vector has {vector.shape[-1]} entries, the model {sum(sizes)} parameters")
    pieces = vector.split(sizes, dim=-1)
    batch = vector.shape[:-1]
    return {
        name: piece.reshape(batch + p.shape) for piece, (name, p) in zip(pieces, like.items(), strict=True)
    }


class FunctionalModel:
    """A module as a function of its trainable parameters and inputs, on a copy of its own.

    There are two ways to a point of weight space. :meth:`move` writes it into the copy's parameters, which is
    right for every module. :meth:`outputs_at` puts tensors in the parameters' places, so that ``torch.vmap``
    and ``torch.func`` can follow; what a module has stored elsewhere (a list of its weights, say) escapes
    it, so its results are to be compared with the first way unless ``is_chain``.

    Attributes:
        network: the copy.
        parameters: its trainable parameters, each once.
        x: the inputs (N, ...), fit for autograd.
        is_chain: whether the module is a chain of linear layers (see :mod:`dlexp.measures.chain`).
        batching: whether ``torch.vmap`` gives the definition's results.
        probe: the outputs at the module's own parameters, without a graph.

    Raises ``ValueError`` for a module without trainable parameters, with parameters of several types or of
    another than float32 and float64, with inputs of another type or device than theirs, and for a forward
    pass that draws random numbers, changes buffers or gives other outputs at its second call; ``TypeError``
    where the outputs are no tensor.

    >>> function = FunctionalModel(nn.Linear(1, 1), torch.ones(4, 1))
    >>> function.move(torch.tensor([2.0, 1.0]))
    >>> function.outputs().flatten().tolist()
    [3.0, 3.0, 3.0, 3.0]
    """

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        require_deterministic(model)
        self._model = model
        self._like = trainable_parameters(model)
        _require_precision(model, self._like)
        require_inputs(model, x)
        self.x = ordinary(x)
        self.is_chain = chain_of(model, allow_frozen=True) is not None
        self.batching = Batching(f"{type(model).__name__} by torch.vmap")
        self._take(chain_copy(model) if self.is_chain else private_copy(model))
        with differentiable(), torch.no_grad():
            # What is no chain may keep something of what is tried on it.
            self.probe = self.outputs() if self.is_chain else require_fixed(self.trial.network, self.x)

    def _take(self, network: nn.Module) -> None:
        self.network = network
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        places = {id(p): name for name, p in self.network.named_parameters()}
        self._slots = [
            (module._parameters, key, parameter, places[id(parameter)])
            for module in self.network.modules()
            for key, parameter in module._parameters.items()
            if parameter is not None and parameter.requires_grad
        ]

    @property
    def vector(self) -> Tensor:
        """The module's own parameters (P,)."""
        with torch.inference_mode(False), torch.no_grad():
            return torch.cat([p.reshape(-1) for p in self._like.values()])

    def move(self, vector: Tensor) -> None:
        """Write ``vector`` (P,) into the copy's parameters."""
        parts = unflatten(vector, self._like).values()
        with torch.no_grad():
            for parameter, part in zip(self.parameters, parts, strict=True):
                parameter.copy_(part)

    def outputs(self, x: Tensor | None = None) -> Tensor:
        """Return the outputs of the copy as it is, with their graph; ``x`` None takes all inputs."""
        x = self.x if x is None else x
        result: Tensor
        if self.is_chain:
            result = self.network(x)
        else:
            with RightDerivatives():
                result = self.network(x)
        return result

    def outputs_at(self, vector: Tensor, x: Tensor | None = None) -> Tensor:
        """Return the outputs at ``vector`` (P,), differentiable by it."""
        values = unflatten(vector, self._like)
        try:
            for place, key, _, name in self._slots:
                place[key] = values[name]  # type: ignore[assignment]
            return self.outputs(x)
        finally:
            for place, key, parameter, _ in self._slots:
                place[key] = parameter

    @cached_property
    def trial(self) -> "FunctionalModel":
        """The same on a copy that may be harmed, by ``torch.vmap``, whose tensors a module may keep."""
        if self.is_chain:
            return self
        other = copy.copy(self)
        other._take(private_copy(self._model))
        return other


class FunctionalLoss:
    """A loss as a function of a module's trainable parameters; see :class:`FunctionalModel`.

    Attributes:
        model: the module as a function.
        y: the targets.

    Raises as :class:`FunctionalModel`, and ``ValueError`` for a loss that is not one number and for targets
    whose shape would make the loss pair every row with every other.

    >>> loss = FunctionalLoss(nn.Linear(1, 1), mean_squared_error, torch.ones(4, 1), torch.zeros(4, 1))
    >>> loss.at(torch.tensor([2.0, 1.0]))
    tensor(9.)
    """

    def __init__(self, model: nn.Module, loss_fn: Loss, x: Tensor, y: Tensor) -> None:
        self.model = FunctionalModel(model, x)
        self.loss_fn = loss_fn
        self.y = ordinary(y)
        require_targets(self.model.probe, self.y)
        with differentiable(), torch.no_grad():
            value = loss_fn(self.model.probe, self.y)
        if not isinstance(value, Tensor) or value.numel() != 1:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"the loss is {shape}; allowed: a tensor of one number, the mean over the rows")

    def value(self) -> Tensor:
        """Return the loss of the copy as it is, with its graph."""
        return self.loss_fn(self.model.outputs(), self.y).reshape(())

    def at(self, vector: Tensor) -> Tensor:
        """Return the loss at ``vector`` (P,), written into the copy; no graph."""
        self.model.move(vector)
        with differentiable(), torch.no_grad():
            return self.value()

    def gradient_at(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient (P,) and the loss at ``vector`` (P,), written into the copy."""
        self.model.move(vector)
        with differentiable():
            loss = self.value()
            return flat_gradient(loss, self.model.parameters).detach(), loss.detach()

    def swapped(self, vector: Tensor) -> Tensor:
        """Return the loss at ``vector`` (P,), for ``torch.vmap`` and ``torch.func``."""
        return self.loss_fn(self.model.trial.outputs_at(vector), self.y).reshape(())

    def hessian_products(self, x: Tensor | None = None, y: Tensor | None = None) -> BackwardProducts:
        """Return ``V -> V H`` with the Hessian H of the copy as it is, on all rows or on those given.

        v^T grad L is differentiated in reverse, over the retained graph of the gradient.
        """
        value = self.loss_fn(self.model.outputs(x), self.y if y is None else y).reshape(())
        gradient = flat_gradient(value, self.model.parameters, create_graph=True)
        return BackwardProducts(gradient, self.model.parameters, is_trusted=self.model.is_chain)


def flat_gradient(value: Tensor, inputs: Sequence[Tensor], *, create_graph: bool = False) -> Tensor:
    """Return d value / d inputs as one vector (P,); zeros where there is no dependence.

    >>> w = torch.ones(2, requires_grad=True)
    >>> flat_gradient((3 * w).sum(), [w])
    tensor([3., 3.])
    """
    if not value.requires_grad:
        return torch.cat([torch.zeros_like(part).reshape(-1) for part in inputs])
    gradients = torch.autograd.grad(
        value, inputs, create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return torch.cat([gradient.reshape(-1) for gradient in gradients])


def require_targets(outputs: Tensor, targets: Tensor) -> None:
    """Refuse targets that a loss would pair with every row of the outputs, as (N,) with (N, 1).

    Raises ``ValueError`` with both shapes.

    >>> require_targets(torch.zeros(5), torch.zeros(5, 1))
    Traceback (most recent call last):
    ValueError: the outputs have shape (5,) but the targets (5, 1); allowed: the same shape
    """
    if outputs.shape == targets.shape or not targets.is_floating_point():
        return
    try:
        together = torch.broadcast_shapes(outputs.shape, targets.shape)
    except RuntimeError:
        return  # a loss of its own kind, for it cannot subtract the two
    if together.numel() > max(outputs.numel(), targets.numel()):
        raise ValueError(_differing(outputs, targets))


def _require_precision(model: nn.Module, parameters: dict[str, Tensor]) -> None:
    types = sorted({str(p.dtype) for p in parameters.values()})
    if types not in (["torch.float32"], ["torch.float64"]):
        raise ValueError(
            f"the parameters of {type(model).__name__} are {', '.join(types)}; measures need all of them in "
            "torch.float32 or all in torch.float64 (model.float())"
        )


def _differing(outputs: Tensor, targets: Tensor) -> str:
    shapes = f"the outputs have shape {tuple(outputs.shape)} but the targets {tuple(targets.shape)}"
    return f"{shapes}; allowed: the same shape"
