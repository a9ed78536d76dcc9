import pytest
import torch
from torch import Tensor

from dlexp.measures.functional import mean_squared_error, parameter_vector
from dlexp.measures.landscape import rescale_first_layer, rescaling_change
from dlexp.models.mlp import MLP


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(**settings: object) -> MLP:
    return MLP(input_dim=4, width=6, depth=2, generator=generator(), **settings).double()  # type: ignore[arg-type]


def data() -> tuple[Tensor, Tensor]:
    x = torch.randn(30, 4, generator=generator(9), dtype=torch.float64)
    return x, torch.sin(x.sum(dim=1, keepdim=True))


@pytest.mark.parametrize("settings", [{}, {"bias": False}, {"parametrization": "ntk", "bias_std": 0.3}])
def test_the_rescaled_network_is_the_same_function_with_two_layers_changed(
    settings: dict[str, object],
) -> None:
    model, (x, _) = network(**settings), data()
    before = parameter_vector(model)
    rescaled = rescale_first_layer(model, 4.0)
    torch.testing.assert_close(rescaled(x), model(x))
    assert torch.equal(parameter_vector(model), before)
    own, other = dict(model.named_parameters()), dict(rescaled.named_parameters())
    factors = {"hidden_1.weight": 4.0, "hidden_1.bias": 4.0, "hidden_2.weight": 0.25}
    for name, parameter in own.items():
        torch.testing.assert_close(other[name], parameter * factors.get(name, 1.0), rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    ("normalize", "bias", "is_invariant"),
    [
        ("none", "zero", False),
        ("unit", "zero", False),
        ("layer", "zero", True),
        ("filter", "zero", True),
        ("filter", "scale", True),
    ],
)
def test_normalisation_by_layer_or_filter_undoes_the_rescaling(
    normalize: str, bias: str, is_invariant: bool
) -> None:
    change = rescaling_change(
        network(), mean_squared_error, *data(), 10.0, normalize, bias=bias, generator=generator(1), points=5
    )
    assert (change < 1e-12) if is_invariant else (change > 0.1)
