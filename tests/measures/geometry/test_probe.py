"""Probes against an independent minimisation of the stated objective and against known error rates."""

import math

import pytest
import torch
from torch import nn

from dlexp.measures.geometry import classification_probe, regression_probe


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def standardised(train, test):
    mean, std = train.mean(0), train.std(0, correction=0)
    return (train - mean) / std, (test - mean) / std


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("regularization", [0.5, 30.0])
def test_classification_probe_minimises_its_objective(classes, regularization):
    centres = 1.5 * randn(classes, 5, seed=9)
    labels = torch.arange(240) % classes
    features = (centres[labels] + randn(240, 5)) * torch.tensor([1e3, 1.0, 1e-3, 5.0, 1.0]) + 7
    x, z = standardised(features[:120], features[120:])
    outputs = 1 if classes == 2 else classes
    weights = torch.zeros(outputs, 6, dtype=torch.float64, requires_grad=True)

    def scores(x):
        values = x @ weights[:, :5].T + weights[:, 5]
        return torch.cat([torch.zeros_like(values), values], 1) if classes == 2 else values

    optimizer = torch.optim.LBFGS(
        [weights], max_iter=500, line_search_fn="strong_wolfe", tolerance_grad=1e-10
    )

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(scores(x), labels[:120], reduction="sum")
        loss = loss + regularization / 2 * weights[:, :5].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    result = classification_probe(
        features[:120], labels[:120], features[120:], labels[120:], regularization=regularization
    )
    expected = [
        (scores(v).argmax(1) != y).double().mean().item() for v, y in ((x, labels[:120]), (z, labels[120:]))
    ]
    assert [result.train_error, result.test_error] == pytest.approx(expected, abs=1e-12)
    assert 0 < result.train_error < 0.5
    assert result.converged


def test_labels_may_be_any_integers():
    x = torch.cat([randn(50, 2), randn(50, 2, seed=1) + 9])
    labels = torch.tensor([-3] * 50 + [40] * 50, dtype=torch.int32)
    assert classification_probe(x, labels, x, labels)[:2] == (0.0, 0.0)


def test_stopping_early_is_told_and_not_warned_of():
    x, labels = randn(100, 5), torch.arange(100) % 2
    assert not classification_probe(x, labels, x, labels, max_iterations=1).converged


@pytest.mark.parametrize("shape", [(60, 4), (30, 50)])
def test_regression_probe_minimises_its_objective(shape):
    # Ridge as ordinary least squares with extra rows, the free intercept as a column of ones.
    n, p = shape
    features, tests = 3 * randn(n, p) + 5, 3 * randn(40, p, seed=1) + 5
    y, test_y = randn(n, 2, seed=2) + 4, randn(40, 2, seed=3) + 4
    x, z = standardised(features, tests)
    rows = torch.cat(
        [torch.cat([x, torch.ones(n, 1)], 1), math.sqrt(0.7) * torch.eye(p, p + 1, dtype=x.dtype)]
    )
    solution = torch.linalg.lstsq(rows, torch.cat([y, torch.zeros(p, 2)])).solution
    expected = [
        ((torch.cat([v, torch.ones(len(v), 1)], 1) @ solution - t) ** 2).mean().item()
        for v, t in ((x, y), (z, test_y))
    ]
    result = regression_probe(features, y, tests, test_y, regularization=0.7)
    assert [result.train_error, result.test_error] == pytest.approx(expected, rel=1e-10)


def test_a_vector_of_targets_is_one_column():
    x, y = randn(20, 3), randn(20, 1, seed=1)
    assert regression_probe(x, y[:, 0], x, y[:, 0]) == regression_probe(x, y, x, y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_constant_features_predict_the_mean(dtype):
    # 0.1 is no float: its mean differs from it by round-off, which standardising must not blow up.
    x, y = torch.full((30, 4), 0.1, dtype=dtype), randn(30)
    other = x + 1e-7
    result = regression_probe(x, y, other, y)
    assert result.train_error == pytest.approx(y.var(correction=0).item(), rel=1e-12)
    assert result.test_error == pytest.approx(result.train_error, rel=1e-5)
