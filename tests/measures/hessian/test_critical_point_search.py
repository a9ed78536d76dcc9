import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import grad, vmap

from dlexp.measures.functional import FunctionalLoss, mean_squared_error
from dlexp.measures.hessian import find_critical_point
from dlexp.models.mlp import MLP

DOUBLE = torch.float64


def product_network():
    """Outputs a b x: the loss is (1 - ab)^2 / 2 at x = y = 1."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    one = torch.ones(1, 1, dtype=DOUBLE)
    return model, lambda f, y: 0.5 * mean_squared_error(f, y), one, one


@pytest.fixture(scope="module")
def tanh_problem():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 2, dtype=DOUBLE, generator=generator)
    y = torch.sin(x[:, :1]) * x[:, 1:] + 0.1 * torch.randn(40, 1, dtype=DOUBLE, generator=generator)
    model = MLP(input_dim=2, width=4, depth=1, activation="tanh", generator=generator).double()
    starts = 0.3 * torch.randn(24, 17, dtype=DOUBLE, generator=generator)
    # A third of the starts has been trained for a while: near minima, where the others are near saddles.
    descend = vmap(grad(FunctionalLoss(model, mean_squared_error, x, y).swapped))
    for _ in range(300):
        starts[::3] -= 0.3 * descend(starts[::3])
    return model, x, y, starts


def test_saddle_and_minima_of_the_product():
    model, loss_fn, x, y = product_network()
    c = 0.1
    root = (1 - c) ** 0.5
    starts = torch.tensor([[0.1, -0.05], [0.8, 1.1], [-1.0, -0.8]], dtype=DOUBLE)
    found = find_critical_point(model, loss_fn, x, y, starts, weight_decay=c)
    expected = torch.tensor([[0.0, 0.0], [root, root], [-root, -root]], dtype=DOUBLE)
    torch.testing.assert_close(found.vector, expected, rtol=0, atol=1e-8)
    assert found.converged.all()
    assert found.index.tolist() == [1, 0, 0]
    losses = torch.tensor([0.5, c**2 / 2, c**2 / 2], dtype=DOUBLE)
    torch.testing.assert_close(found.loss, losses, rtol=0, atol=1e-8)
    spectra = torch.tensor([[c - 1, c + 1], [2 * c, 2 - 2 * c], [2 * c, 2 - 2 * c]], dtype=DOUBLE)
    torch.testing.assert_close(found.eigenvalues, spectra, rtol=0, atol=1e-7)


def test_what_is_found_is_critical(tanh_problem):
    model, x, y, starts = tanh_problem
    c = 1e-3
    found = find_critical_point(
        model, F.mse_loss, x, y, starts, weight_decay=c, tolerance=1e-10, max_steps=150
    )
    assert 5 <= int(found.converged.sum()) < len(starts)
    assert len(found.index[found.converged].unique()) >= 3

    def objective(vector):
        # The network written out by hand: 4 x 2 weights, 4 biases, 4 readout weights, 1 readout bias.
        w, b, v, a = vector.split([8, 4, 4, 1])
        f = torch.tanh(x @ w.view(4, 2).T + b) @ v + a
        return ((f - y[:, 0]) ** 2).mean() + c / 2 * vector.square().sum()

    for i in range(len(starts)):
        vector = found.vector[i].clone().requires_grad_()
        value = objective(vector)
        (gradient,) = torch.autograd.grad(value, vector)
        loss = value.detach() - c / 2 * vector.detach().square().sum()
        assert float(gradient.norm()) == pytest.approx(float(found.gradient_norm[i]), abs=1e-11)
        assert bool(found.converged[i]) == (float(found.gradient_norm[i]) <= 1e-10)
        assert float(loss) == pytest.approx(float(found.loss[i]), rel=1e-12)
    for i in found.converged.nonzero()[:, 0]:
        hessian = torch.autograd.functional.hessian(objective, found.vector[i])
        exact = torch.linalg.eigvalsh(hessian)
        torch.testing.assert_close(found.eigenvalues[i], exact, rtol=0, atol=1e-10)
        assert int(found.index[i]) == int((exact < 0).sum())


def test_a_batch_does_what_single_searches_do(tanh_problem):
    model, x, y, starts = tanh_problem
    options = {"weight_decay": 1e-3, "max_steps": 10}
    batch = find_critical_point(model, mean_squared_error, x, y, starts[:5], chunk_size=3, **options)
    for i in range(5):
        single = find_critical_point(model, mean_squared_error, x, y, starts[i], **options)
        assert single.vector.shape == (17,)
        torch.testing.assert_close(single.vector, batch.vector[i], rtol=0, atol=1e-8)
        assert int(single.index) == int(batch.index[i])
        assert float(single.loss) == pytest.approx(float(batch.loss[i]), rel=1e-8)


def test_a_stationary_point_of_the_gradient_norm_is_not_reported_as_critical():
    # L(w) = w + w^3 / 3 has |L'| = 1 + w^2 > 0: the search can only end at w = 0, where L'' = 0.
    model = nn.Linear(1, 1, bias=False, dtype=DOUBLE)
    one = torch.ones(1, 1, dtype=DOUBLE)
    start = torch.tensor([0.7], dtype=DOUBLE)
    found = find_critical_point(model, lambda f, y: (f + f**3 / 3).mean(), one, one, start)
    assert not found.converged
    assert float(found.vector) == pytest.approx(0, abs=1e-3)
    assert float(found.gradient_norm) == pytest.approx(1, abs=1e-5)
