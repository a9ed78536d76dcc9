"""What measures should find, by brute force: one autograd call for each number, on a module made anew."""

from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tests.zoo.animals import Animal


class Oracle:
    """The loss of an animal as a function of its trainable parameters, one vector (P,)."""

    def __init__(self, animal: Animal) -> None:
        self._animal = animal
        self.x = animal.data()
        self.vector = torch.cat([p.detach().flatten() for p in _trained(animal.fresh())])
        # What is no fixed function has no numbers to compare with: targets of any shape serve a refusal.
        shape = self.network(self.vector)(self.x).shape if animal.fixed else (6, 2)
        self.y = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def network(self, vector: Tensor) -> nn.Module:
        """Return the animal, made anew, at the parameters ``vector``."""
        network = self._animal.fresh(plain=True)
        parameters = _trained(network)
        with torch.no_grad():
            for parameter, part in zip(
                parameters, vector.split([p.numel() for p in parameters]), strict=True
            ):
                parameter.copy_(part.reshape(parameter.shape))
        for parameter in parameters:
            parameter._backward_hooks = None  # they act on training, not on the function
        return network

    def outputs(self, vector: Tensor) -> Tensor:
        with torch.no_grad():
            return self.network(vector)(self.x)

    def loss(self, vector: Tensor) -> Tensor:
        return ((self.outputs(vector) - self.y) ** 2).mean()

    def gradient(self, vector: Tensor) -> Tensor:
        return self._derivatives(vector)[0].detach()

    def hessian(self, vector: Tensor) -> Tensor:
        gradient, parameters = self._derivatives(vector)
        rows = [_gradient(entry, parameters) for entry in gradient]
        return torch.stack(rows)

    @cached_property
    def jacobian(self) -> Tensor:
        """Of the outputs of each row alone, (N, K, P)."""
        network = self.network(self.vector)
        rows = []
        with sdpa_kernel(SDPBackend.MATH):
            for row in self.x:
                outputs = network(row[None]).reshape(-1)
                rows.append(torch.stack([_gradient(output, _trained(network)) for output in outputs]))
        return torch.stack(rows)

    @cached_property
    def gauss_newton(self) -> Tensor:
        """2 J^T J / (N K), of all outputs at once."""
        network = self.network(self.vector)
        with sdpa_kernel(SDPBackend.MATH):
            outputs = network(self.x).reshape(-1)
            jacobian = torch.stack([_gradient(output, _trained(network)) for output in outputs])
        return 2 / len(outputs) * jacobian.T @ jacobian

    @cached_property
    def own_gradient(self) -> Tensor:
        return self.gradient(self.vector)

    @cached_property
    def own_hessian(self) -> Tensor:
        return self.hessian(self.vector)

    def _derivatives(self, vector: Tensor) -> tuple[Tensor, list[nn.Parameter]]:
        network = self.network(vector)
        with sdpa_kernel(SDPBackend.MATH):
            loss = ((network(self.x) - self.y) ** 2).mean()
            return _gradient(loss, _trained(network), create_graph=True), _trained(network)


def _trained(network: nn.Module) -> list[nn.Parameter]:
    return [p for p in network.parameters() if p.requires_grad]


def _gradient(value: Tensor, parameters: list[nn.Parameter], create_graph: bool = False) -> Tensor:
    if not value.requires_grad:
        return torch.cat([torch.zeros_like(p).flatten() for p in parameters])
    gradients = torch.autograd.grad(
        value,
        parameters,
        retain_graph=True,
        create_graph=create_graph,
        materialize_grads=True,
        allow_unused=True,
    )
    return torch.cat([gradient.flatten() for gradient in gradients])
