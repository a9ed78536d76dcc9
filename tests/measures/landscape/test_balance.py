import copy
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from dlexp.measures.functional import parameter_vector
from dlexp.measures.landscape import balance_relu_units
from dlexp.models.mlp import MLP


def network(depth: int = 2, **settings: object) -> MLP:
    generator = torch.Generator().manual_seed(0)
    model = MLP(input_dim=5, width=8, depth=depth, generator=generator, **settings)  # type: ignore[arg-type]
    return model.double()


def inputs() -> Tensor:
    return torch.randn(50, 5, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def rescaled(model: MLP, *, units: bool, factor: float = 10.0) -> MLP:
    """Return the same function with units, or whole layers, scaled and the following weights scaled back."""
    model, generator = copy.deepcopy(model), torch.Generator().manual_seed(3)
    with torch.no_grad():
        for layer, following in zip(model.linear_layers(), model.linear_layers()[1:], strict=False):
            n = layer.out_features
            c = factor * torch.ones(n, dtype=torch.float64)
            if units:
                c = torch.exp(torch.randn(n, generator=generator, dtype=torch.float64))
            layer.weight.mul_(c[:, None])
            if layer.bias is not None:
                layer.bias.mul_(c)
            following.weight.div_(c)
    return model


@pytest.mark.parametrize(
    "settings", [{}, {"bias": False}, {"parametrization": "ntk", "bias_std": 0.3, "depth": 3}]
)
def test_rescaled_networks_are_balanced_to_the_same_point(settings: dict[str, object]) -> None:
    model = network(**settings)  # type: ignore[arg-type]
    other = rescaled(model, units=True)
    torch.testing.assert_close(other(inputs()), model(inputs()))
    before = parameter_vector(other)
    balanced, again = balance_relu_units(model), balance_relu_units(other)
    torch.testing.assert_close(parameter_vector(balanced), parameter_vector(again), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(balanced(inputs()), model(inputs()), rtol=1e-10, atol=1e-12)
    assert torch.equal(parameter_vector(other), before)


def test_balanced_point_is_the_shortest_of_all_rescalings() -> None:
    model = network()
    balanced = balance_relu_units(model)
    layers = balanced.linear_layers()
    for layer, following in pairwise(layers):
        incoming = (layer.weight**2).sum(dim=1) + layer.bias**2
        torch.testing.assert_close(incoming, (following.weight**2).sum(dim=0), rtol=1e-10, atol=0)
    for factor in (0.99, 1.01):
        assert float(parameter_vector(rescaled(balanced, units=False, factor=factor)).norm()) > float(
            parameter_vector(balanced).norm()
        )


def test_dead_units_stay_as_they_are() -> None:
    model = network(depth=1)
    with torch.no_grad():
        model.hidden_1.weight[0], model.hidden_1.bias[0] = 0.0, 0.0
        model.readout.weight[0, 1] = 0.0
    balanced = balance_relu_units(model)
    assert torch.equal(balanced.hidden_1.weight[:2], model.hidden_1.weight[:2])
    torch.testing.assert_close(balanced(inputs()), model(inputs()))
