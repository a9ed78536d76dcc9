import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from dlexp.data.generators.inputs import sphere_inputs
from dlexp.models.random_features import RandomFeatures


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(**changes: Any) -> RandomFeatures:
    return RandomFeatures(**({"input_dim": 6, "width": 9, "generator": seeded()} | changes))


def test_outputs_features_and_counts() -> None:
    model = make(output_dim=2, bias=True, initialization="normal")
    with torch.no_grad():
        model.readout.bias.fill_(0.5)
    x = torch.randn(4, 6, generator=seeded(1))
    weight, readout = model.hidden.weight.numpy(), model.readout.weight.detach().numpy()
    expected = [
        [0.5 + sum(a[j] * max(row @ weight[j], 0) for j in range(9)) / 3 for a in readout]
        for row in x.numpy()
    ]
    np.testing.assert_allclose(model(x).detach(), expected, atol=1e-6)
    np.testing.assert_allclose(model.features(x).numpy() @ readout.T + 0.5, expected, atol=1e-6)
    assert sum(parameter.numel() for parameter in model.parameters()) == 2 * 9 + 2
    assert set(model.state_dict()) == {"hidden.weight", "readout.weight", "readout.bias"}


def test_features_are_unit_vectors_without_a_direction() -> None:
    weight = make(input_dim=3, width=20_000).hidden.weight.double()
    np.testing.assert_allclose(weight.norm(dim=1), 1, atol=1e-6)
    # Archimedes: each coordinate of a uniform point on the sphere in three dimensions is uniform in [-1, 1].
    for column in weight.T:
        assert stats.kstest(column, stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert (weight.T @ weight / 20_000 - torch.eye(3) / 3).abs().max() < 0.01


def test_the_kernel_converges_to_the_arc_cosine_kernel() -> None:
    # Cho and Saul (2009) have Gaussian w, and relu(<w, x>)^2 scales as |w|^2 of mean d: for unit vectors and
    # inputs of norm sqrt(d) their kernel at unit norms is exact.
    x = sphere_inputs(5, 6, seeded(2))
    model = make(width=400_000).double()
    kernel = model.features(x) @ model.features(x).T
    angle = (x @ x.T / 6).clamp(-1, 1).arccos()
    expected = (angle.sin() + (math.pi - angle) * angle.cos()) / (2 * math.pi)
    torch.testing.assert_close(kernel, expected, atol=0.01, rtol=0)


def test_training_moves_the_readout_alone_to_the_solution_of_least_norm() -> None:
    model = make(width=60, initialization="zeros").double()
    x = torch.randn(8, 6, dtype=torch.float64, generator=seeded(1))
    y = x[:, :1].sin()
    before = model.hidden.weight.clone()
    kernel = model.features(x) @ model.features(x).T
    optimizer = torch.optim.SGD(model.parameters(), lr=1 / float(torch.linalg.eigvalsh(kernel)[-1]))
    for _ in range(4000):
        optimizer.zero_grad()
        (0.5 * (model(x) - y) ** 2).sum().backward()
        optimizer.step()
    assert torch.equal(model.hidden.weight, before)
    features = np.maximum(x.numpy() @ before.numpy().T, 0) / math.sqrt(60)
    least_norm = np.linalg.pinv(features) @ y.numpy()
    np.testing.assert_allclose(model.readout.weight.detach().T, least_norm, atol=1e-6)


def test_the_activation_and_the_start_are_settings() -> None:
    x = torch.randn(4, 6, generator=seeded(1))
    torch.testing.assert_close(
        make(activation="tanh").features(x), (x @ make().hidden.weight.T).tanh() / math.sqrt(9)
    )
    assert (make()(x) == 0).all()
    readout = make(width=20_000, initialization="normal").readout.weight.detach().flatten().double()
    assert stats.kstest(readout, "norm").pvalue > 1e-3


def test_same_seed_same_bits_and_the_global_generator_is_untouched() -> None:
    before = torch.get_rng_state()
    first, again = (make(initialization="normal") for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.hidden.weight, again.hidden.weight)
    assert torch.equal(first.readout.weight, again.readout.weight)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="activation='swish' is unknown; allowed: relu"):
        make(activation="swish")
    with pytest.raises(ValueError, match="initialization='ones' is unknown; allowed: zeros, normal"):
        make(initialization="ones")
