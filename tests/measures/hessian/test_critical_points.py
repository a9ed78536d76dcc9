import itertools

import pytest
import torch
from torch import nn

from dlexp.measures.functional import mean_squared_error
from dlexp.measures.hessian import Inertia, classify_critical_point, inertia, kind_of, negative_fraction

DOUBLE = torch.float64


def half_square_sum(outputs, targets):
    """Half the squared Frobenius norm over whitened inputs."""
    return 0.5 * ((outputs - targets) ** 2).sum()


def linear_network(*sizes):
    layers = [nn.Linear(a, b, bias=False, dtype=DOUBLE) for a, b in itertools.pairwise(sizes)]
    return nn.Sequential(*layers)


def planted(kept, hidden, singular=(3.0, 2.0, 1.0), d_in=5, d_out=4):
    """A critical point of 1/2 |W2 W1 - M|^2 that keeps the singular directions ``kept`` of M."""
    generator = torch.Generator().manual_seed(0)
    u = torch.linalg.qr(torch.randn(d_out, d_out, dtype=DOUBLE, generator=generator)).Q
    v = torch.linalg.qr(torch.randn(d_in, d_in, dtype=DOUBLE, generator=generator)).Q
    s = torch.tensor(singular, dtype=DOUBLE)
    target = u[:, : len(s)] @ torch.diag(s) @ v[:, : len(s)].T
    first, second = torch.zeros(hidden, d_in, dtype=DOUBLE), torch.zeros(d_out, hidden, dtype=DOUBLE)
    for unit, direction in enumerate(kept):
        first[unit] = s[direction].sqrt() * v[:, direction]
        second[:, unit] = s[direction].sqrt() * u[:, direction]
    model = linear_network(d_in, hidden, d_out)
    model[0].weight.data, model[1].weight.data = first, second
    return model, torch.eye(d_in, dtype=DOUBLE), target.T


@pytest.mark.parametrize("hidden", [3, 4])
@pytest.mark.parametrize("kept", [j for n in range(4) for j in itertools.combinations(range(3), n)])
def test_inertia_of_two_layer_linear_networks(kept, hidden):
    model, x, y = planted(kept, hidden)
    s, r, d_in, d_out, k = (3.0, 2.0, 1.0), 3, 5, 4, len(kept)
    dropped = [j for j in range(3) if j not in kept]
    negative = (hidden - k) * (r - k) + sum(s[j] > s[i] for i in kept for j in dropped)
    zero = k**2 + (hidden - k) * (d_in + d_out - 2 * r) + 2 * k * (hidden - k)
    result = classify_critical_point(model, half_square_sum, x, y)
    assert result.gradient_norm < 1e-13
    assert result.inertia == (negative, zero, hidden * (d_in + d_out) - negative - zero)
    assert result.kind == ("degenerate" if k == 3 else "strict saddle")


def test_minimum_maximum_and_no_critical_point():
    x = torch.randn(10, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    model = nn.Linear(2, 1, bias=False, dtype=DOUBLE)
    y = x.sum(1, keepdim=True)
    model.weight.data.fill_(1.0)
    assert classify_critical_point(model, mean_squared_error, x, y).kind == "minimum"
    upside_down = classify_critical_point(model, lambda f, t: -mean_squared_error(f, t), x, y)
    assert upside_down.kind == "maximum"
    assert upside_down.inertia == (2, 0, 0)
    model.weight.data.fill_(1.1)
    off = classify_critical_point(model, mean_squared_error, x, y)
    assert off.kind == "not critical"
    gradient = 2 / 10 * x.T @ (x @ model.weight.detach().T - y)
    assert off.gradient_norm == pytest.approx(float(gradient.norm()), rel=1e-12)
    tolerant = classify_critical_point(model, mean_squared_error, x, y, gradient_tolerance=10.0)
    assert tolerant.kind == "minimum"


def test_weight_decay_moves_the_critical_point():
    # 1/2 (1 - ab)^2 + c/2 (a^2 + b^2): minima at a = b = +-sqrt(1 - c), eigenvalues 2 (1 - c) and 2 c.
    model = linear_network(1, 1, 1)
    one = torch.ones(1, 1, dtype=DOUBLE)
    for p in model.parameters():
        p.data.fill_(0.9**0.5)
    result = classify_critical_point(model, half_square_sum, one, one, weight_decay=0.1)
    assert result.kind == "minimum"
    expected = torch.tensor([0.2, 1.8], dtype=DOUBLE)
    torch.testing.assert_close(result.eigenvalues, expected, rtol=1e-12, atol=0)
    assert classify_critical_point(model, half_square_sum, one, one).kind == "not critical"


def test_batches_are_weighted_by_size():
    x = torch.randn(10, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    y = x.prod(1, keepdim=True)
    model = nn.Linear(2, 1, dtype=DOUBLE)
    whole = classify_critical_point(model, mean_squared_error, x, y)
    split = classify_critical_point(model, mean_squared_error, x, y, batch_size=4)
    assert split.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-12)
    torch.testing.assert_close(split.eigenvalues, whole.eigenvalues, rtol=1e-12, atol=1e-14)


def test_signs():
    values = torch.tensor([-2.0, -1e-3, -1e-12, 0.0, 1e-9, 1.0, 4.0, 5.0], dtype=DOUBLE)
    assert inertia(values) == (2, 3, 3)
    assert negative_fraction(values) == 0.25
    assert negative_fraction(values, relative_tolerance=0.1) == 0.125
    assert inertia(torch.full((3,), 1e-20, dtype=DOUBLE)) == (0, 3, 0)
    kinds = {(0, 0, 2): "minimum", (2, 0, 0): "maximum", (1, 0, 1): "strict saddle"}
    kinds |= {(1, 1, 0): "strict saddle", (0, 1, 1): "degenerate", (0, 2, 0): "degenerate"}
    assert all(kind_of(Inertia(*signs)) == kind for signs, kind in kinds.items())
