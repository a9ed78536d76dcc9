import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlexp.measures.functional import mean_squared_error
from dlexp.measures.hessian import gauss_newton_matrix, gauss_newton_product, hessian_matrix
from dlexp.models.mlp import MLP

DOUBLE = torch.float64


class Wrapped(nn.Module):
    """Hides a chain from the fast path."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


def network(k=1, activation="tanh", depth=2):
    generator = torch.Generator().manual_seed(0)
    model = MLP(
        input_dim=3,
        width=5,
        depth=depth,
        output_dim=k,
        activation=activation,
        parametrization="ntk",
        bias_std=0.3,
        random_bias=True,
        generator=generator,
    ).double()
    x = torch.randn(8, 3, dtype=DOUBLE, generator=generator)
    return model, x, torch.randn(8, k, dtype=DOUBLE, generator=generator)


@pytest.mark.parametrize("wrap", [lambda m: m, Wrapped], ids=["chain", "generic"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_nonzero_eigenvalues_are_those_of_the_kernel(brute_jacobian, wrap, activation):
    model, x, y = network(activation=activation)
    jacobian = brute_jacobian(model, x)
    kernel = torch.linalg.eigvalsh(jacobian @ jacobian.T)
    values = torch.linalg.eigvalsh(gauss_newton_matrix(wrap(model), mean_squared_error, x, y))
    torch.testing.assert_close(values[-8:], 2 / 8 * kernel, rtol=1e-10, atol=1e-12)
    assert values[:-8].abs().max() < 1e-12


@pytest.mark.parametrize("wrap", [lambda m: m, Wrapped], ids=["chain", "generic"])
def test_cross_entropy_equals_sandwich(brute_jacobian, wrap):
    model, x, _ = network(k=3)
    y = torch.arange(8) % 3
    p = torch.softmax(model(x).detach(), dim=1)
    curvature = torch.block_diag(*[(torch.diag(q) - torch.outer(q, q)) / 8 for q in p])
    jacobian = brute_jacobian(model, x)
    expected = jacobian.T @ curvature @ jacobian
    result = gauss_newton_matrix(wrap(model), F.cross_entropy, x, y)
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-12)
    assert not torch.allclose(result, hessian_matrix(model, F.cross_entropy, x, y), atol=1e-3)
    v = torch.randn(4, len(expected), dtype=DOUBLE, generator=torch.Generator().manual_seed(3))
    product = gauss_newton_product(wrap(model), F.cross_entropy, x, y, v, batch_size=3)
    torch.testing.assert_close(product, v @ expected, rtol=1e-10, atol=1e-12)
    single = gauss_newton_product(wrap(model), F.cross_entropy, x, y, v[0])
    torch.testing.assert_close(single, expected @ v[0], rtol=1e-10, atol=1e-12)


def test_is_the_hessian_where_the_targets_are_met(brute_hessian):
    model, x, _ = network(k=2)
    y = model(x).detach()
    torch.testing.assert_close(
        gauss_newton_matrix(model, mean_squared_error, x, y),
        brute_hessian(model, mean_squared_error, x, y),
        rtol=1e-10,
        atol=1e-12,
    )


# Raised inside the peer.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_curvlinops_agrees():
    curvlinops = pytest.importorskip("curvlinops")
    model, x, y = network(k=2)
    parameters = list(model.parameters())
    peer = curvlinops.GGNLinearOperator(model, nn.MSELoss(), parameters, [(x, y)], check_deterministic=False)
    expected = peer @ torch.eye(sum(p.numel() for p in parameters), dtype=DOUBLE)
    torch.testing.assert_close(
        gauss_newton_matrix(model, mean_squared_error, x, y), expected, rtol=1e-10, atol=1e-12
    )


def test_refuses_a_vector_that_does_not_fit():
    model, x, y = network()
    with pytest.raises(ValueError, match=r"v has shape \(2, 3\); allowed: \(56,\) or \(B, 56\)"):
        gauss_newton_product(model, mean_squared_error, x, y, torch.zeros(2, 3, dtype=DOUBLE))
