"""Losses and gradients at many points against a loop that loads each point into the model.

Foreign modules are the zoo's; here are other losses and the edges.
"""

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


class Lying(nn.Module):
    """Computes something else under vmap."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(D, 2)

    def forward(self, x: Tensor) -> Tensor:
        wrong = torch._C._functorch.is_batchedtensor(self.layer.weight)
        return self.layer(x) * (1.01 if wrong else 1.0)


MODELS = {
    "chain": lambda: MLP(input_dim=D, width=[6, 3], depth=2, output_dim=2, parametrization="mup"),
    "no chain": lambda: nn.Sequential(nn.Linear(D, 3), nn.LayerNorm(3), nn.Tanh(), nn.Linear(3, 2)),
    "lying": Lying,
}


def loop(
    model: nn.Module, loss_fn: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, vectors: Tensor
) -> tuple[Tensor, Tensor]:
    """Return gradients and losses."""
    losses, gradients, parameters = [], [], list(model.parameters())
    for vector in vectors:
        nn.utils.vector_to_parameters(vector, parameters)
        losses.append(loss_fn(model(x), y))
        gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(losses[-1], parameters)]))
    return torch.stack(gradients), torch.stack(losses).detach()


def setting(name: str) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    model = MODELS[name]().double()
    x, y = (torch.randn(N, size, generator=generator, dtype=torch.float64) for size in (D, 2))
    p = parameter_vector(model)
    return model, x, y, p + torch.randn(7, len(p), generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("chunk_size", [None, 3])
def test_equals_a_loop_over_the_networks(
    name: str, chunk_size: int | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dlexp.measures.points._BLOCK_BYTES", {"cpu": 900})
    model, x, y, vectors = setting(name)
    labels = torch.arange(N) % 2
    with caplog.at_level(logging.INFO):
        for loss_fn, targets in ((mean_squared_error, y), (F.cross_entropy, labels)):
            function = FunctionalLoss(model, loss_fn, x, targets)
            gradients, losses = loop(model, loss_fn, x, targets, vectors)
            torch.testing.assert_close(losses_at(function, vectors, chunk_size=chunk_size), losses)
            found = gradients_at(function, vectors, chunk_size=chunk_size)
            torch.testing.assert_close(found, (gradients, losses))
            assert not any(part.requires_grad for part in found)
            coefficients = torch.randn(9, 3, dtype=torch.float64)
            _, losses = loop(model, loss_fn, x, targets, coefficients @ vectors[:3])
            many = combination_losses(
                model, loss_fn, x, targets, coefficients, vectors[:3], chunk_size=chunk_size
            )
            torch.testing.assert_close(many, losses, rtol=1e-12, atol=1e-12)
    assert ("Lying by torch.vmap: one by one: batched results differ" in caplog.text) == (name == "lying")
    assert ("one by one" in caplog.text) == (name == "lying")


def test_one_diverged_network_stays_alone_and_none_give_none() -> None:
    model, x, y, vectors = setting("chain")
    function = FunctionalLoss(model, mean_squared_error, x, y)
    vectors[2] = torch.nan
    finite = losses_at(function, vectors).isfinite()
    assert finite.tolist() == [True, True, False, True, True, True, True]
    assert losses_at(function, vectors[:0]).shape == (0,)


def test_unit_coefficients_give_the_point_bit_for_bit() -> None:
    basis = torch.randn(3, 100, generator=torch.Generator().manual_seed(0))
    assert torch.equal(linear_combinations(torch.eye(3), basis), basis)
