"""Random features: the solution against scikit-learn, the curve of STUDIES, theory against simulation."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from dlexp.measures.risk import random_feature_errors, random_feature_risk


def data(n, d, *, noise_std, seed, sphere=False):
    """Return train and test inputs, noisy train targets and noise-free test targets of a linear teacher."""
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    x, test_x = randn(n, d), randn(1000, d)
    if sphere:
        x, test_x = (z * math.sqrt(d) / z.norm(dim=1, keepdim=True) for z in (x, test_x))
    beta = randn(d)
    beta = beta / beta.norm()
    return x, x @ beta + noise_std * randn(n), test_x, test_x @ beta, generator


@pytest.mark.parametrize("p", [15, 60])
@pytest.mark.parametrize("ridge", [0.0, 0.03])
@pytest.mark.parametrize("activation", [torch.relu, torch.tanh])
def test_errors_of_an_independent_solution(p, ridge, activation):
    n, d = 40, 5
    x, y, test_x, test_y, _ = data(n, d, noise_std=0.5, seed=0)
    weights = torch.randn(p, d, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).numpy()
    features, test_features = (
        activation(torch.from_numpy(z.numpy() @ weights.T / math.sqrt(d))).numpy() / math.sqrt(p)
        for z in (x, test_x)
    )
    if ridge:
        solution = (
            Ridge(alpha=n * ridge, fit_intercept=False, solver="cholesky").fit(features, y.numpy()).coef_
        )
    else:
        solution = np.linalg.lstsq(features, y.numpy(), rcond=None)[0]
    errors = random_feature_errors(
        x,
        y,
        test_x,
        test_y,
        n_features=p,
        ridge=ridge,
        activation=activation,
        generator=torch.Generator().manual_seed(1),
    )
    assert errors.test == pytest.approx(np.mean((test_features @ solution - test_y.numpy()) ** 2), rel=1e-8)
    expected = np.mean((features @ solution - y.numpy()) ** 2)
    assert errors.train == pytest.approx(expected, rel=1e-8, abs=1e-20)
    columns = random_feature_errors(
        x,
        torch.stack([y, y], 1),
        test_x,
        torch.stack([test_y, test_y], 1),
        n_features=p,
        ridge=ridge,
        activation=activation,
        generator=torch.Generator().manual_seed(1),
    )
    assert columns.test == pytest.approx(errors.test, rel=1e-9)


def test_curve_of_the_study_peaks_at_as_many_features_as_samples():
    ratios = (0.4, 0.8, 1.0, 1.5, 2.0, 5.0)
    curve = []
    for ratio in ratios:
        errors = []
        for seed in range(12):
            x, y, test_x, test_y, generator = data(200, 20, noise_std=0.5, seed=seed)
            fit = random_feature_errors(
                x, y, test_x, test_y, n_features=int(200 * ratio), generator=generator
            )
            errors.append(fit.test + 0.25)
        # At the peak the mean has no finite expectation.
        curve.append(np.median(errors) if ratio == 1 else np.mean(errors))
    assert ratios[int(np.argmax(curve))] == 1.0
    assert curve[2] > 20
    # STUDIES, random_features: measured with other seeds.
    del curve[2]
    assert curve == pytest.approx([0.56, 1.59, 1.08, 0.84, 0.61], rel=0.2)


@pytest.mark.parametrize(
    ("ratio", "ridge", "tolerance"), [(0.5, 0.0, 0.12), (3.0, 0.0, 0.1), (1.0, 1e-3, 0.1), (2.0, 1e-2, 0.1)]
)
@pytest.mark.parametrize("noise_std", [0.0, 0.5])
def test_theory_meets_simulation(ratio, ridge, tolerance, noise_std):
    n, d = 200, 100
    errors = []
    for seed in range(8):
        x, y, test_x, test_y, generator = data(n, d, noise_std=noise_std, seed=seed, sphere=True)
        fit = random_feature_errors(
            x, y, test_x, test_y, n_features=int(ratio * n), ridge=ridge, generator=generator
        )
        errors.append(fit.test)
    expected = random_feature_risk(
        n, int(ratio * n), d, noise_std=noise_std, ridge=ridge, include_noise=False
    )
    assert np.mean(errors) == pytest.approx(expected, rel=tolerance)


def test_risk_in_its_limits():
    assert random_feature_risk(200, 200, 20, noise_std=0.5) == math.inf
    # Near the peak it grows without bound from both sides.
    below, above = (random_feature_risk(20_000, p, 2000, noise_std=0.5) for p in (19_990, 20_010))
    assert min(below, above) > 100
    # A small penalty is continuous with none, a huge one leaves the target itself.
    plain = random_feature_risk(100, 300, 50, signal=2.0, noise_std=0.5)
    assert random_feature_risk(100, 300, 50, signal=2.0, noise_std=0.5, ridge=1e-9) == pytest.approx(
        plain, rel=1e-5
    )
    assert random_feature_risk(100, 300, 50, signal=2.0, noise_std=0.5, ridge=1e9) == pytest.approx(
        2.25, rel=1e-5
    )
    noise_free = random_feature_risk(100, 300, 50, signal=2.0, noise_std=0.5, include_noise=False)
    assert plain - noise_free == pytest.approx(0.25)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_dtype_draws_the_same_features(dtype):
    x, y, test_x, test_y, _ = data(50, 5, noise_std=0.5, seed=0)
    arrays = [value.to(dtype) for value in (x, y, test_x, test_y)]
    fit = random_feature_errors(*arrays, n_features=20, generator=torch.Generator().manual_seed(3))
    exact = random_feature_errors(
        x, y, test_x, test_y, n_features=20, generator=torch.Generator().manual_seed(3)
    )
    assert fit.test == pytest.approx(exact.test, rel=1e-3)


def test_bad_input_is_refused():
    x, y, test_x, test_y, generator = data(5, 2, noise_std=0, seed=0)
    with pytest.raises(ValueError, match="n_features=0"):
        random_feature_errors(x, y, test_x, test_y, n_features=0, generator=generator)
    with pytest.raises(ValueError, match="ridge=-1"):
        random_feature_errors(x, y, test_x, test_y, n_features=3, ridge=-1, generator=generator)
    with pytest.raises(ValueError, match="test_x is"):
        random_feature_errors(x, y, test_x, test_y[:, None], n_features=3, generator=generator)
    with pytest.raises(ValueError, match="train_x is"):
        random_feature_errors(x, y[:2], test_x, test_y, n_features=3, generator=generator)
    with pytest.raises(ValueError, match="input_dim=0"):
        random_feature_risk(5, 5, 0)
    with pytest.raises(ValueError, match="noise_std=nan"):
        random_feature_risk(5, 4, 3, noise_std=math.nan)
