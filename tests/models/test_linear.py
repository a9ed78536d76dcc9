import math

import numpy as np
import pytest
import torch
from scipy import stats

from dlexp.models.linear import Linear


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_linear_map(bias: bool) -> None:
    model = Linear(input_dim=4, output_dim=3, bias=bias, initialization="pytorch", generator=seeded())
    x = torch.randn(5, 4, generator=seeded(1))
    expected = x.double().numpy() @ model.readout.weight.detach().double().numpy().T
    if bias:
        expected = expected + model.readout.bias.detach().double().numpy()
    np.testing.assert_allclose(model(x).detach(), expected, atol=1e-6)
    assert sum(p.numel() for p in model.parameters()) == 12 + 3 * bias


def test_it_starts_from_zero() -> None:
    model = Linear(input_dim=4)
    assert all((parameter == 0).all() for parameter in model.parameters())
    assert model(torch.ones(2, 4)).shape == (2, 1)


def test_gradient_descent_from_zero_finds_the_solution_of_least_norm() -> None:
    x = torch.randn(10, 25, dtype=torch.float64, generator=seeded())
    y = torch.randn(10, 1, dtype=torch.float64, generator=seeded(1))
    model = Linear(input_dim=25, bias=False).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(3000):
        optimizer.zero_grad()
        (0.5 * (model(x) - y) ** 2).sum().backward()
        optimizer.step()
    solution = np.linalg.pinv(x.numpy()) @ y.numpy()
    np.testing.assert_allclose(model.readout.weight.detach().T, solution, atol=1e-10)


def test_the_random_start_is_uniform_as_in_pytorch() -> None:
    model = Linear(input_dim=400, output_dim=50, initialization="pytorch", generator=seeded())
    bound = 1 / math.sqrt(400)
    for parameter in model.parameters():
        values = parameter.detach().flatten().double()
        assert stats.kstest(values, stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3


def test_same_seed_same_bits_and_the_global_generator_is_untouched() -> None:
    before = torch.get_rng_state()
    first, again = (Linear(input_dim=9, initialization="pytorch", generator=seeded()) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.readout.weight, again.readout.weight)
    assert torch.equal(first.readout.bias, again.readout.bias)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="initialization='normal' is unknown; allowed: zeros, pytorch"):
        Linear(input_dim=2, initialization="normal", generator=seeded())
    with pytest.raises(ValueError, match="generator=None is not allowed"):
        Linear(input_dim=2, initialization="pytorch")
