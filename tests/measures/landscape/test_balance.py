import copy
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from dlexp.measures.functional import mean_squared_error, parameter_vector
from dlexp.measures.landscape import balance_relu_units, loss_plane, random_direction
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


def surface(model: nn.Module, normalize: str = "filter", bias: str = "zero") -> Tensor:
    x = inputs()
    y = torch.sin(x.sum(dim=1, keepdim=True))
    directions = torch.stack(
        [
            random_direction(model, normalize, bias=bias, generator=torch.Generator().manual_seed(seed))
            for seed in (1, 2)
        ]
    )
    return loss_plane(model, mean_squared_error, x, y, directions, points=5).losses


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


def test_what_normalisation_and_balancing_do_for_surfaces() -> None:
    model = network()
    plain, normalised = surface(model, "none"), surface(model, "filter", "scale")
    layers, units = rescaled(model, units=False), rescaled(model, units=True)
    # Raw surfaces change, normalised ones not at all when whole layers are rescaled ...
    assert float((surface(layers, "none") - plain).abs().max() / plain.max()) > 0.3
    torch.testing.assert_close(surface(layers, "filter", "scale"), normalised, rtol=1e-9, atol=0)
    # ... but they do when single units are, unless these are balanced first.
    assert float((surface(units) - surface(model)).abs().max() / surface(model).max()) > 0.02
    torch.testing.assert_close(
        surface(balance_relu_units(units)), surface(balance_relu_units(model)), rtol=1e-9, atol=0
    )


def test_dead_units_stay_as_they_are() -> None:
    model = network(depth=1)
    with torch.no_grad():
        model.hidden_1.weight[0], model.hidden_1.bias[0] = 0.0, 0.0
        model.readout.weight[0, 1] = 0.0
    balanced = balance_relu_units(model)
    assert torch.equal(balanced.hidden_1.weight[:2], model.hidden_1.weight[:2])
    torch.testing.assert_close(balanced(inputs()), model(inputs()))


def test_refusals() -> None:
    with pytest.raises(ValueError, match="model holds Tanh; only ReLU"):
        balance_relu_units(network(activation="tanh"))
    with pytest.raises(ValueError, match="must be a chain"):
        balance_relu_units(nn.Sequential(nn.Linear(5, 3), nn.LayerNorm(3)))
    model = network()
    with pytest.raises(RuntimeError, match="not balanced after max_sweeps=1"):
        balance_relu_units(model, max_sweeps=1)
    with torch.no_grad():
        model.readout.weight.fill_(torch.nan)
    with pytest.raises(ValueError, match="not finite"):
        balance_relu_units(model)
