"""Class separation against full scatter matrices in numpy and geometries worked out by hand."""

import numpy as np
import pytest
import torch

from dlexp.measures.geometry import fisher_ratio


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scatter_matrices(features, labels):
    x, y = features.numpy(), labels.numpy()
    classes = np.unique(y)
    within = np.mean([np.cov(x[y == c].T, bias=True).reshape(x.shape[1], -1) for c in classes], axis=0)
    means = np.array([x[y == c].mean(0) for c in classes])
    return within, np.cov(means.T, bias=True).reshape(x.shape[1], -1), len(classes)


@pytest.mark.parametrize(("p", "classes"), [(6, 3), (40, 5), (1, 2)])
def test_full_scatter_matrices(p, classes):
    # Unbalanced: class c has c + 3 samples.
    labels = torch.repeat_interleave(torch.arange(classes), torch.arange(classes) + 3)
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    features = randn(len(labels), p) + 2 * randn(classes, p, seed=1)[labels] + 10
    within, between, _ = scatter_matrices(features, labels)
    expected = np.trace(between) / np.trace(within)
    assert fisher_ratio(features, labels) == pytest.approx(expected, rel=1e-12)


def test_values_by_hand_and_limits():
    # Means -3 and 3: Sigma_B = 9; deviations +-1: Sigma_W = 1, and 25 more along the second axis.
    features, labels = torch.tensor([[-4.0], [-2.0], [2.0], [4.0]]), torch.tensor([7, 7, -2, -2])
    assert fisher_ratio(features, labels) == pytest.approx(9, rel=1e-12)
    noisy = torch.cat([features, torch.tensor([[5.0], [-5.0], [5.0], [-5.0]])], dim=1)
    assert fisher_ratio(noisy, labels) == pytest.approx(9 / 26, rel=1e-12)
    assert fisher_ratio(randn(2, 4)[[0, 0, 1, 1]], labels) > 1e25
    assert fisher_ratio(features[[0, 1, 0, 1]], labels) == pytest.approx(0, abs=1e-25)
