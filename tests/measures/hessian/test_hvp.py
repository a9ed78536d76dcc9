import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlexp.measures.functional import mean_squared_error
from dlexp.measures.hessian import hessian_matrix, hessian_operator, hvp
from dlexp.measures.hessian.r_operator import Workspace, expand_chain
from dlexp.models.mlp import MLP

DOUBLE = torch.float64


def data(n=7, d=3, k=1, seed=0, dtype=DOUBLE):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, dtype=DOUBLE, generator=generator).to(dtype)
    return x, torch.randn(n, k, dtype=DOUBLE, generator=generator).to(dtype)


def randomize(model, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.data = torch.randn(p.shape, dtype=DOUBLE, generator=generator) * 0.7
    return model


def vectors(model, count, seed=2):
    size = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return torch.randn(count, size, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


class Residual(nn.Module):
    """Neither a chain nor a fixed use of each layer: ``shared`` runs twice."""

    def __init__(self):
        super().__init__()
        self.into, self.shared, self.out = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.gain = nn.Parameter(torch.ones(4))

    def forward(self, x):
        h = torch.tanh(self.into(x))
        h = h + self.gain * torch.tanh(self.shared(h))
        return self.out(h + torch.sin(self.shared(h)))


class Wrapped(nn.Module):
    """Hides a chain from the fast path."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


class Lying(nn.Linear):
    """Looks like a scaled layer, computes something else."""

    weight_scale, bias_scale = 2.0, 1.0

    def forward(self, x):
        return F.linear(x, self.weight**2, self.bias)


def test_linear_regression_closed_form():
    x, y = data(n=9, d=4, k=2)
    model = randomize(nn.Linear(4, 2))
    ones = torch.cat([x, torch.ones(9, 1, dtype=DOUBLE)], dim=1)
    gram = 2 / (9 * 2) * ones.T @ ones  # the mean runs over rows and outputs
    hessian = hessian_matrix(model, mean_squared_error, x, y)
    weights = hessian[:8, :8].reshape(2, 4, 2, 4)
    for i in range(2):
        for j in range(2):
            expected = gram if i == j else torch.zeros_like(gram)
            torch.testing.assert_close(weights[i, :, j], expected[:4, :4], rtol=0, atol=1e-10)
            torch.testing.assert_close(hessian[8 + i, 8 + j], expected[4, 4], rtol=0, atol=1e-10)
            torch.testing.assert_close(hessian[8 + i, 4 * j : 4 * j + 4], expected[4, :4], rtol=0, atol=1e-10)


def test_logistic_regression_closed_form():
    x, _ = data(n=9, d=4)
    y = (torch.arange(9) % 2).to(DOUBLE)[:, None]
    model = randomize(nn.Linear(4, 1))
    p = torch.sigmoid(x @ model.weight.detach().T + model.bias.detach())
    ones = torch.cat([x, torch.ones(9, 1, dtype=DOUBLE)], dim=1)
    expected = ones.T @ (p * (1 - p) * ones) / 9
    hessian = hessian_matrix(model, F.binary_cross_entropy_with_logits, x, y)
    torch.testing.assert_close(hessian, expected, rtol=0, atol=1e-10)


def test_softmax_regression_closed_form():
    x, _ = data(n=9, d=4)
    y = torch.arange(9) % 3
    model = randomize(nn.Linear(4, 3, bias=False))
    p = torch.softmax(x @ model.weight.detach().T, dim=1)
    expected = torch.zeros(12, 12, dtype=DOUBLE)
    for n in range(9):
        outer = torch.diag(p[n]) - torch.outer(p[n], p[n])
        expected += torch.kron(outer, torch.outer(x[n], x[n])) / 9
    torch.testing.assert_close(hessian_matrix(model, F.cross_entropy, x, y), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "erf", "sigmoid", "relu", "linear"])
@pytest.mark.parametrize(("depth", "bias"), [(0, True), (1, True), (1, False), (3, True)])
def test_chain_equals_brute_force(brute_hessian, activation, depth, bias):
    x, y = data(k=2)
    model = randomize(MLP(input_dim=3, width=4, depth=depth, output_dim=2, activation=activation, bias=bias))
    expected = brute_hessian(model, mean_squared_error, x, y)
    assert expand_chain(model, mean_squared_error, x, y, Workspace()) is not None
    torch.testing.assert_close(
        hessian_matrix(model, mean_squared_error, x, y), expected, rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("parametrization", ["ntk", "mup"])
def test_multipliers_of_the_parametrization(brute_hessian, parametrization):
    x, y = data()
    model = randomize(
        MLP(input_dim=3, width=4, depth=2, activation="tanh", parametrization=parametrization, bias_std=0.3)
    )
    assert expand_chain(model, mean_squared_error, x, y, Workspace()) is not None
    torch.testing.assert_close(
        hessian_matrix(model, mean_squared_error, x, y),
        brute_hessian(model, mean_squared_error, x, y),
        rtol=1e-10,
        atol=1e-12,
    )


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Tanh(), nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Tanh()), nn.Linear(4, 2)),
        nn.Sequential(nn.Linear(3, 2), nn.Softplus()),
        nn.Sequential(nn.Linear(3, 4), nn.SELU(inplace=True), nn.Linear(4, 4), nn.Linear(4, 2), nn.Tanh()),
    ],
    ids=["nested", "output activation", "in place"],
)
@pytest.mark.parametrize(
    "loss_fn",
    [
        F.cross_entropy,
        # Couples the rows, so its Hessian in the outputs is not block diagonal.
        lambda f, y: (f.logsumexp(0) ** 2).sum() + f.prod(dim=1).mean() * y.sum(),
        # Its gradient in the outputs is the outputs themselves.
        lambda f, y: 0.5 * (f**2).sum(),
    ],
    ids=["cross-entropy", "coupled rows", "half square"],
)
def test_other_chains_and_losses(brute_hessian, model, loss_fn):
    model = randomize(copy.deepcopy(model))
    x, _ = data()
    y = torch.arange(7) % 2
    assert expand_chain(model, loss_fn, x, y, Workspace()) is not None
    torch.testing.assert_close(
        hessian_matrix(model, loss_fn, x, y), brute_hessian(model, loss_fn, x, y), rtol=1e-10, atol=1e-12
    )


def hooked():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    model[0].register_forward_hook(lambda module, args, output: 3 * output)
    return model


def tied():
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(3, 2))


def frozen():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    model[0].bias.requires_grad_(False)
    return model


@pytest.mark.parametrize(
    "make",
    [
        Residual,
        hooked,
        tied,
        frozen,
        lambda: nn.Sequential(nn.Linear(3, 4), Lying(4, 2)),
        lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.PReLU(), nn.Linear(4, 2)),
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Softmax(dim=1), nn.Linear(4, 2)),
        lambda: nn.Sequential(
            nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(4, 2)
        ),
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2)).eval(),
    ],
    ids=["residual", "hooked", "tied", "frozen", "lying", "norm", "softmax", "convolution", "dropout"],
)
def test_any_other_module_equals_brute_force(brute_hessian, make):
    model = make()
    trainable = [p.requires_grad for p in model.parameters()]
    randomize(model)
    assert trainable == [p.requires_grad for p in model.parameters()]
    x, y = data(k=2)
    assert expand_chain(model, F.mse_loss, x, y, Workspace()) is None
    torch.testing.assert_close(
        hessian_matrix(model, F.mse_loss, x, y),
        brute_hessian(model, F.mse_loss, x, y),
        rtol=1e-10,
        atol=1e-12,
    )


def test_both_ways_batches_and_single_vectors_agree():
    x, y = data(n=20, k=1)
    model = randomize(MLP(input_dim=3, width=5, depth=2, activation="tanh"))
    v = vectors(model, 6)
    fast = hvp(model, mean_squared_error, x, y, v)
    slow = hvp(Wrapped(model), mean_squared_error, x, y, v)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-12)
    for i in range(6):
        single = hvp(model, mean_squared_error, x, y, v[i])
        assert single.shape == v[i].shape
        torch.testing.assert_close(single, slow[i], rtol=1e-10, atol=1e-12)
    for module in (model, Wrapped(model)):
        # 7 does not divide 20: the last batch is smaller and must weigh less; 4 does not divide 6.
        split = hvp(module, mean_squared_error, x, y, v, batch_size=7, chunk_size=4)
        torch.testing.assert_close(split, slow, rtol=1e-10, atol=1e-12)
    assert hvp(model, mean_squared_error, x, y, v[:0]).shape == (0, v.shape[1])


@pytest.mark.parametrize("wrap", [lambda m: m, Wrapped], ids=["chain", "generic"])
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_works_without_grad_mode(wrap, context):
    x, y = data()
    model = wrap(randomize(MLP(input_dim=3, width=4, depth=1, activation="tanh")))
    v = vectors(model, 2)
    expected = hvp(model, mean_squared_error, x, y, v)
    assert not expected.requires_grad
    with context():
        result = hvp(model, mean_squared_error, 1.0 * x, 1.0 * y, 1.0 * v)
    torch.testing.assert_close(result, expected, rtol=0, atol=0)


def test_operator_keeps_its_point():
    x, y = data()
    model = randomize(MLP(input_dim=3, width=4, depth=1, activation="tanh"))
    v = vectors(model, 2)
    for module in (model, Wrapped(model)):
        operator = hessian_operator(module, mean_squared_error, x, y)
        before = operator(v)
        with torch.no_grad():
            for p in module.parameters():
                p.add_(1.0)
        assert torch.equal(operator(v), before)
        assert not torch.allclose(hvp(module, mean_squared_error, x, y, v), before)


@pytest.mark.parametrize("wrap", [lambda m: m, Wrapped], ids=["chain", "generic"])
def test_no_curvature_gives_zero(wrap):
    x, y = data()
    model = wrap(randomize(nn.Linear(3, 1)))
    assert torch.equal(hvp(model, lambda f, y: f.mean(), x, y, vectors(model, 2)), torch.zeros(2, 4))


@pytest.mark.parametrize("wrap", [lambda m: m, Wrapped], ids=["chain", "generic"])
def test_leaves_everything_as_it_was(wrap):
    x, y = data()
    model = wrap(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1)).double())
    randomize(model).eval()
    for p in model.parameters():
        p.grad = torch.full_like(p, 3.0)
    state, rng = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    hvp(model, mean_squared_error, x, y, vectors(model, 2))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad and torch.equal(p.grad, torch.full_like(p, 3.0)) for p in model.parameters())
    assert not any(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), rng)
    assert not x.requires_grad


def test_float32_agrees_with_float64():
    x, y = data()
    model = randomize(MLP(input_dim=3, width=4, depth=2, activation="gelu"))
    v = vectors(model, 3)
    expected = hvp(model, mean_squared_error, x, y, v)
    result = hvp(model.float(), mean_squared_error, x.float(), y.float(), v.float())
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.double(), expected, rtol=1e-4, atol=1e-5)


# Raised inside the peer.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_curvlinops_agrees():
    curvlinops = pytest.importorskip("curvlinops")
    x, y = data(n=12, k=2)
    model = randomize(MLP(input_dim=3, width=4, depth=2, output_dim=2, activation="tanh"))
    v = vectors(model, 3)
    parameters = list(model.parameters())
    peer = curvlinops.HessianLinearOperator(
        model, nn.MSELoss(), parameters, [(x, y)], check_deterministic=False
    )
    torch.testing.assert_close(
        hvp(model, mean_squared_error, x, y, v), (peer @ v.T).T, rtol=1e-10, atol=1e-12
    )


def test_refusals():
    x, y = data()
    model = randomize(MLP(input_dim=3, width=4, depth=1))
    with pytest.raises(ValueError, match=r"v has shape \(5,\); allowed: \(21,\) or \(B, 21\)"):
        hvp(model, mean_squared_error, x, y, torch.zeros(5, dtype=DOUBLE))
    with pytest.raises(ValueError, match=r"v is torch.float32 on cpu; allowed: torch.float64"):
        hvp(model, mean_squared_error, x, y, torch.zeros(21))
    with pytest.raises(ValueError, match="chunk_size=0 is too small"):
        hvp(model, mean_squared_error, x, y, torch.zeros(21, dtype=DOUBLE), chunk_size=0)
    dropout = nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.5)).double()
    with pytest.raises(ValueError, match=r"training mode.*call model.eval\(\) first"):
        hvp(dropout, mean_squared_error, x, y, torch.zeros(4, dtype=DOUBLE))
    wide = nn.Linear(2_000_000, 1)
    with pytest.raises(MemoryError, match="the dense Hessian of 2000001 parameters needs about"):
        hessian_matrix(wide, mean_squared_error, torch.ones(1, 2_000_000), torch.ones(1, 1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("wrap", [lambda m: m, Wrapped], ids=["chain", "generic"])
def test_cuda_agrees_with_cpu(wrap):
    x, y = data()
    model = wrap(randomize(MLP(input_dim=3, width=4, depth=2, activation="tanh")))
    v = vectors(model, 3)
    expected = hvp(model, mean_squared_error, x, y, v)
    result = hvp(model.cuda(), mean_squared_error, x.cuda(), y.cuda(), v.cuda())
    torch.testing.assert_close(result.cpu(), expected, rtol=1e-10, atol=1e-12)
