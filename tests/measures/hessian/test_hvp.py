import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlexp.measures.functional import mean_squared_error
from dlexp.measures.hessian import hessian_matrix, hessian_operator, hvp
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


class Wrapped(nn.Module):
    """Hides a chain, so that batched products are compared with single ones."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Tanh(), nn.Linear(3, 4), nn.GELU(), nn.Tanh(), nn.Linear(4, 2)),
        lambda: nn.Sequential(nn.Linear(3, 2), nn.Softplus()),
        lambda: nn.Sequential(nn.Linear(3, 4), nn.SELU(inplace=True), nn.Linear(4, 2), nn.Tanh()),
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
def test_other_chains_and_losses(brute_hessian, make, loss_fn):
    model = randomize(make())
    x, _ = data()
    y = torch.arange(7) % 2
    torch.testing.assert_close(
        hessian_matrix(model, loss_fn, x, y), brute_hessian(model, loss_fn, x, y), rtol=1e-10, atol=1e-12
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


def test_batches_need_a_loss_that_is_the_mean_over_the_rows():
    x, y = data(n=7, k=2)
    labels = torch.arange(7) % 2
    model = randomize(MLP(input_dim=3, width=4, depth=1, output_dim=2, activation="tanh"))
    fitted = model(x).detach()  # where a sum of squares is 0, as the mean is
    weights = torch.tensor([1.0, 3.0], dtype=DOUBLE)
    for loss_fn, targets in (
        (lambda f, t: ((f - t) ** 2).sum(), fitted),
        (lambda f, t: F.cross_entropy(f, t, weight=weights), labels),
    ):
        with pytest.raises(ValueError, match="batch_size=3 needs a loss that is the mean over the rows"):
            hessian_matrix(model, loss_fn, x, targets, batch_size=3)
        hessian_matrix(model, loss_fn, x, targets)
    batch = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, track_running_stats=False)).double()
    with pytest.raises(ValueError, match="the outputs for one row depend on the others of its batch"):
        hessian_matrix(batch, mean_squared_error, x, y, batch_size=4)


def test_targets_of_another_shape_are_refused_with_both():
    x, y = data(n=7)
    model = randomize(nn.Linear(3, 1))
    shapes = r"the outputs have shape \(7, 1\) but the targets \(7,\)"
    for loss_fn in (mean_squared_error, lambda f, t: (f - t).abs().mean()):
        with pytest.raises(ValueError, match=shapes):
            hessian_matrix(model, loss_fn, x, y[:, 0])
    # A loss of its own kind: the second column holds weights.
    weighted = torch.cat([y, torch.ones_like(y)], dim=1)
    hessian_matrix(model, lambda f, t: (t[:, 1:] * (f - t[:, :1]) ** 2).mean(), x, weighted)


class Reversed(torch.autograd.Function):
    """A gradient that is none."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return x.flip(1) * gradient


def test_second_derivatives_that_are_not_symmetric_are_refused():
    class Wrong(nn.Linear):
        def forward(self, x):
            return Reversed.apply(super().forward(x))

    x, y = data(k=2)
    with pytest.raises(ValueError, match="the second derivatives of Wrong are not symmetric"):
        hessian_operator(randomize(Wrong(3, 2)), mean_squared_error, x, y)
