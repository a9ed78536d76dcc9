"""The same numbers on a GPU as on the CPU."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlexp.measures import geometry, hessian, landscape, risk
from dlexp.measures.functional import mean_squared_error, parameter_vector
from dlexp.measures.ntk import empirical_ntk
from dlexp.measures.sharpness import one_step
from dlexp.models.mlp import MLP

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


class Wrapped(nn.Module):
    """Hides a chain."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.inner(x)
        return outputs


def _features(model: nn.Module, x: Tensor, y: Tensor) -> Any:
    features, labels = layer_features(model, x), (x[:, 0] > 0).long()
    pair = features, labels
    numbers = [geometry.participation_ratio(features), geometry.two_nn_dimension(features)]
    numbers += [geometry.fisher_ratio(*pair), geometry.linear_cka(features, x)]
    return torch.tensor([*numbers, *geometry.classification_probe(*pair, *pair)[:2]])


def layer_features(model: nn.Module, x: Tensor) -> Tensor:
    return geometry.layer_features(model, x, layers=[""], chunk_size=33)[""]


def _line(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    direction = landscape.random_direction(model, generator=torch.Generator().manual_seed(0))
    return landscape.loss_line(model, mean_squared_error, x, y, direction, points=9).losses


def _least_norm(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    linear = nn.Linear(6, 2, bias=False, dtype=x.dtype, device=x.device)
    nn.init.ones_(linear.weight)
    found = risk.minimum_norm_distance(*risk.linear_system(linear, x, y), parameter_vector(linear))
    return torch.tensor(found)


MEASURES: dict[str, Callable[[nn.Module, Tensor, Tensor], Any]] = {
    "hvp": lambda m, x, y: hessian.hvp(m, mean_squared_error, x, y, parameter_vector(m).expand(3, -1)),
    "ntk": lambda m, x, y: empirical_ntk(m, x),
    "line": _line,
    "one step": lambda m, x, y: torch.tensor(one_step(m, mean_squared_error, x, y, radius=0.1)),
    "features": _features,
    "least norm": _least_norm,
}


@pytest.mark.parametrize("wrap", [lambda model: model, Wrapped], ids=["chain", "any module"])
@pytest.mark.parametrize("name", MEASURES)
def test_cuda_agrees_with_the_cpu(name: str, wrap: Callable[[nn.Module], nn.Module]) -> None:
    generator = torch.Generator().manual_seed(0)
    inner = MLP(input_dim=6, width=12, depth=2, output_dim=2, activation="tanh", generator=generator)
    model = wrap(inner.double())
    x = torch.randn(80, 6, dtype=torch.float64, generator=generator)
    y = torch.sin(x[:, :2])
    expected = MEASURES[name](model, x, y)
    found = MEASURES[name](model.cuda(), x.cuda(), y.cuda())
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-8, atol=1e-10)
