"""Class separation against full scatter matrices in numpy and geometries worked out by hand."""

import math

import numpy as np
import pytest
import torch

from dlexp.measures.geometry import fisher_ratio, variability_collapse


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scatter_matrices(features, labels):
    x, y = features.numpy(), labels.numpy()
    classes = np.unique(y)
    within = np.mean([np.cov(x[y == c].T, bias=True).reshape(x.shape[1], -1) for c in classes], axis=0)
    means = np.array([x[y == c].mean(0) for c in classes])
    return within, np.cov(means.T, bias=True).reshape(x.shape[1], -1), len(classes)


@pytest.mark.parametrize(("p", "classes"), [(6, 3), (40, 5), (2, 6), (1, 2)])
def test_full_scatter_matrices(p, classes):
    # Unbalanced: class c has c + 3 samples.
    labels = torch.repeat_interleave(torch.arange(classes), torch.arange(classes) + 3)
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    features = randn(len(labels), p) + 2 * randn(classes, p, seed=1)[labels] + 10
    within, between, count = scatter_matrices(features, labels)
    collapse = np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / count
    assert variability_collapse(features, labels) == pytest.approx(collapse, rel=1e-9)
    expected = np.trace(between) / np.trace(within)
    assert fisher_ratio(features, labels) == pytest.approx(expected, rel=1e-12)


def test_two_classes_on_a_line():
    # Means -3 and 3: Sigma_B = 9; deviations +-1: Sigma_W = 1.
    features, labels = torch.tensor([[-4.0], [-2.0], [2.0], [4.0]]), torch.tensor([0, 0, 1, 1])
    assert variability_collapse(features, labels) == pytest.approx(1 / 18, rel=1e-12)
    assert fisher_ratio(features, labels) == pytest.approx(9, rel=1e-12)


def test_noise_outside_the_span_of_the_means_counts_for_fisher_alone():
    features = torch.tensor([[-3.0, 5.0], [-3.0, -5.0], [3.0, 5.0], [3.0, -5.0]])
    labels = torch.tensor([7, 7, -2, -2])
    assert variability_collapse(features, labels) == pytest.approx(0, abs=1e-12)
    assert fisher_ratio(features, labels) == pytest.approx(9 / 25, rel=1e-12)


def test_rotation_scale_and_shift_do_not_matter():
    labels = torch.arange(60) % 4
    features = randn(60, 5) + 3 * randn(4, 5, seed=1)[labels]
    moved = 100 * features @ torch.linalg.qr(randn(5, 5, seed=2)).Q - 8
    for measure in (variability_collapse, fisher_ratio):
        assert measure(moved, labels) == pytest.approx(measure(features, labels), rel=1e-9)


def test_limits():
    labels = torch.arange(12) % 3
    collapsed = randn(3, 4)[labels]
    assert variability_collapse(collapsed, labels) == pytest.approx(0, abs=1e-25)
    assert fisher_ratio(collapsed, labels) > 1e25
    deviations = randn(4, 2)
    same = (deviations - deviations.mean(0)).repeat_interleave(3, 0) + 0.1
    assert variability_collapse(same, labels) == math.inf
    assert fisher_ratio(same, labels) == pytest.approx(0, abs=1e-25)


@pytest.mark.parametrize("measure", [variability_collapse, fisher_ratio])
def test_bad_input_is_refused(measure):
    x = randn(6, 2)
    with pytest.raises(ValueError, match="features has the shape"):
        measure(x[:, 0], torch.arange(6))
    with pytest.raises(ValueError, match=r"labels is torch\.float32"):
        measure(x, torch.ones(6))
    with pytest.raises(ValueError, match="labels is"):
        measure(x, torch.arange(5))
    with pytest.raises(ValueError, match="one class"):
        measure(x, torch.zeros(6, dtype=torch.long))
    with pytest.raises(ValueError, match="not finite"):
        measure(x * math.nan, torch.arange(6))
