"""Losses and gradients at many points against a loop that loads each point into a copy of the model.

Foreign modules are the zoo's; here are the package's own networks, other losses and the edges.
"""

import copy
import logging
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlexp.measures.functional import FunctionalLoss, mean_squared_error, parameter_vector
from dlexp.measures.points import combination_losses, gradients_at, linear_combinations, losses_at
from dlexp.models.mlp import MLP

D, N = 4, 17


class Residual(nn.Module):
    """No chain: two paths meet."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(D, D), nn.Linear(D, 2)
        self.norm = nn.BatchNorm1d(D)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.norm(x + torch.tanh(self.first(x))))


def frozen(*names: str) -> nn.Module:
    model = MLP(
        input_dim=D, width=5, depth=2, output_dim=2, parametrization="ntk", bias_std=0.3, random_bias=True
    )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in names)
    return model


MODELS = {
    "relu": lambda: MLP(input_dim=D, width=6, depth=1, output_dim=2),
    "deep_tanh": lambda: MLP(input_dim=D, width=[6, 3, 5], depth=3, output_dim=2, activation="tanh"),
    "mup": lambda: MLP(input_dim=D, width=6, depth=2, output_dim=2, parametrization="mup", base_width=3),
    "frozen_front": lambda: frozen("hidden_1.weight", "hidden_1.bias"),
    "frozen_first_weight": lambda: frozen("hidden_1.weight"),
    "residual": Residual,
}


def loop(
    model: nn.Module, loss_fn: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, vectors: Tensor
) -> tuple[Tensor, Tensor]:
    """Return gradients and losses."""
    model, losses, gradients = copy.deepcopy(model), [], []
    parameters = [p for p in model.parameters() if p.requires_grad]
    for vector in vectors:
        with torch.no_grad():
            for parameter, part in zip(
                parameters, vector.split([p.numel() for p in parameters]), strict=True
            ):
                parameter.copy_(part.view_as(parameter))
        losses.append(loss_fn(model(x), y))
        gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(losses[-1], parameters)]))
    return torch.stack(gradients), torch.stack(losses).detach()


def setting(name: str, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    model = MODELS[name]().to(dtype).eval()
    x, y = (torch.randn(*shape, generator=generator, dtype=dtype) for shape in ((N, D), (N, 2)))
    p = parameter_vector(model)
    return model, x, y, p + torch.randn(7, len(p), generator=generator, dtype=dtype)


def test_combinations_in_many_blocks_equal_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlexp.measures.points._BLOCK_BYTES", {"cpu": 900})
    coefficients = torch.randn(9, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for name in MODELS:
        model, x, y, vectors = setting(name)
        _, expected = loop(model, mean_squared_error, x, y, coefficients @ vectors[:3])
        got = combination_losses(model, mean_squared_error, x, y, coefficients, vectors[:3], chunk_size=2)
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["relu", "residual"])
def test_labels_are_targets_too(name: str) -> None:
    model, x, _, vectors = setting(name)
    labels = torch.arange(N) % 2
    function = FunctionalLoss(model, F.cross_entropy, x, labels)
    torch.testing.assert_close(
        losses_at(function, vectors), loop(model, F.cross_entropy, x, labels, vectors)[1]
    )


class Lying(nn.Module):
    """Computes something else under vmap."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(D, 2)

    def forward(self, x: Tensor) -> Tensor:
        wrong = torch._C._functorch.is_batchedtensor(self.layer.weight)
        return self.layer(x) * (1.01 if wrong else 1.0)


def test_what_vmap_gets_wrong_is_evaluated_point_by_point(caplog: pytest.LogCaptureFixture) -> None:
    model = Lying().double()
    _, x, y, _ = setting("relu")
    vectors = torch.randn(3, 10, dtype=torch.float64)
    gradients, losses = loop(model, mean_squared_error, x, y, vectors)
    with caplog.at_level(logging.INFO):
        found = losses_at(FunctionalLoss(model, mean_squared_error, x, y), vectors)
    torch.testing.assert_close(found, losses)
    assert "Lying by torch.vmap: one by one: batched results differ" in caplog.text
    found = gradients_at(FunctionalLoss(model, mean_squared_error, x, y), vectors)[0]
    torch.testing.assert_close(found, gradients)


def test_one_diverged_network_stays_alone_and_none_give_none() -> None:
    model, x, y, vectors = setting("relu")
    function = FunctionalLoss(model, mean_squared_error, x, y)
    vectors[2] = torch.nan
    finite = losses_at(function, vectors).isfinite()
    assert finite.tolist() == [True, True, False, True, True, True, True]
    assert losses_at(function, vectors[:0]).shape == (0,)


def test_unit_coefficients_give_the_point_bit_for_bit() -> None:
    basis = torch.randn(3, 100, generator=torch.Generator().manual_seed(0))
    assert torch.equal(linear_combinations(torch.eye(3), basis), basis)
