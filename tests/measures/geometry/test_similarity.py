"""CKA against U-centred Gram matrices written out, its invariances, and independent data."""

import math

import pytest
import torch

from dlexp.measures.geometry import cka_matrix, linear_cka


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def u_centred(x):
    """Székely & Rizzo 2014 on the Gram matrix: another route to the unbiased HSIC."""
    gram = x @ x.T
    n = len(gram)
    gram = gram - torch.diag(gram.diagonal())
    rows = gram.sum(1, keepdim=True) / (n - 2)
    gram = gram - rows - rows.T + gram.sum() / ((n - 1) * (n - 2))
    return gram - torch.diag(gram.diagonal())


def centred(x):
    h = torch.eye(len(x), dtype=x.dtype) - 1 / len(x)
    return h @ x @ x.T @ h


def alignment(k, m):
    return ((k * m).sum() / (k.norm() * m.norm())).item()


@pytest.mark.parametrize("shapes", [(40, 3, 5), (12, 30, 4), (12, 30, 50), (4, 2, 2)])
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_cka_of_gram_matrices(shapes, shift):
    n, p, q = shapes
    x = randn(n, p) + shift
    y = torch.tanh(x @ randn(p, q, seed=1)) + 0.5 * randn(n, q, seed=2) - shift
    k, m = x - x.mean(0), y - y.mean(0)  # the oracle would lose digits to the shift
    assert linear_cka(x, y) == pytest.approx(alignment(u_centred(k), u_centred(m)), rel=1e-9, abs=1e-12)
    assert linear_cka(x, y, debiased=False) == pytest.approx(alignment(centred(x), centred(y)), rel=1e-8)


@pytest.mark.parametrize("debiased", [True, False])
def test_rotation_scale_and_shift_do_not_matter(debiased):
    x, y = randn(50, 8), randn(50, 8, seed=3).relu()
    rotation = torch.linalg.qr(randn(8, 8, seed=4)).Q
    assert linear_cka(x, -7 * x @ rotation + 2, debiased=debiased) == pytest.approx(1, abs=1e-12)
    moved = 1e-200 * (y @ rotation + 2)
    assert linear_cka(x, moved, debiased=debiased) == pytest.approx(
        linear_cka(x, y, debiased=debiased), abs=1e-12
    )


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e8 / 3])
def test_constant_features_have_no_alignment(debiased, value):
    assert math.isnan(linear_cka(torch.full((20, 7), value), randn(20, 3), debiased=debiased))


def test_matrix_of_layers():
    features = {"a": randn(30, 4), "b": randn(30, 6, seed=1)}
    features["c"] = features["a"][:, :2] + features["b"][:, :2]
    own = cka_matrix(features)
    assert own.shape == (3, 3)
    torch.testing.assert_close(own.diagonal(), torch.ones(3, dtype=torch.float64))
    assert torch.equal(own, own.T)
    other = {"x": randn(30, 2, seed=5), "a": features["a"]}
    cross = cka_matrix(features, other, debiased=False)
    assert cross.shape == (3, 2)
    assert cross[2, 0].item() == linear_cka(features["c"], other["x"], debiased=False)
    assert cross[0, 1].item() == pytest.approx(1)
