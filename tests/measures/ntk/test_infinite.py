"""Infinite-width kernels against an independent library, spot values, integrals and wide networks."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import erf
from torch import Tensor

from dlexp.measures.ntk import infinite_ntk
from dlexp.measures.ntk.duals import Pairs, erf_dual
from dlexp.measures.ntk.quadrature import SMOOTH_ACTIVATIONS, smooth_dual

REFERENCE = json.loads((Path(__file__).parents[2] / "reference" / "ntk_infinite.json").read_text())
NUMPY = {
    "gelu": (
        lambda z: z * (1 + erf(z / 2**0.5)) / 2,
        lambda z: (1 + erf(z / 2**0.5)) / 2 + z * np.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5,
    ),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
}


def points(rows: int, columns: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def scales(weight: float = 1.3, bias: float = 0.2) -> dict[str, float]:
    return {
        "weight_std": weight, "bias_std": bias, "readout_weight_std": 0.9, "readout_bias_std": 0.1,
    }  # fmt: skip


@pytest.mark.parametrize("key", REFERENCE["ref"])
@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_reference_values_of_an_independent_library(key: str, kernel: str) -> None:
    activation, depth = key.split("_")
    found = infinite_ntk(
        torch.tensor(REFERENCE["X"], dtype=torch.float64),
        depth=int(depth),
        activation=activation,
        weight_std=REFERENCE["W_std"][activation],
        bias_std=REFERENCE["b_std"],
        readout_weight_std=REFERENCE["W_std_out"],
        readout_bias_std=REFERENCE["b_std_out"],
    )
    expected = torch.tensor(REFERENCE["ref"][key][kernel], dtype=torch.float64)
    torch.testing.assert_close(getattr(found, kernel), expected, rtol=1e-12, atol=1e-12)


def double_integral(function, q1: float, q2: float, rho: float) -> float:  # type: ignore[no-untyped-def]
    """E f(z1) f(z2) by the trapezoidal rule in two independent normal variables."""
    u = np.arange(-9, 9.0001, 0.04)
    weights = np.exp(-(u**2) / 2) * 0.04 / (2 * np.pi) ** 0.5
    z1 = q1**0.5 * u
    z2 = q2**0.5 * (rho * u[:, None] + (1 - rho**2) ** 0.5 * u[None, :])
    return float((weights * function(z1)) @ function(z2) @ weights)


def pairs(q1: list[float], q2: list[float], rho: float) -> Pairs:
    one = torch.tensor(q1, dtype=torch.float64)[:, None]
    two = torch.tensor(q2, dtype=torch.float64)[None, :]
    return Pairs(one, two, rho * (one * two).sqrt(), torch.full((len(q1), len(q2)), math.acos(rho)).double())


@pytest.mark.parametrize("rho", [-1.0, -0.9, 0.2, 0.99, 1.0])
@pytest.mark.parametrize("name", NUMPY)
def test_quadrature_reaches_its_stated_accuracy(name: str, rho: float) -> None:
    # Equal large variances at correlation 1 need the most terms.
    largest = 40.0 if name == "tanh" and rho == 1 else 6.0
    q1, q2 = [0.01, largest], [1.0, largest]
    dual = smooth_dual(*SMOOTH_ACTIVATIONS[name], pairs(q1, q2, rho), name=name)
    for i, one in enumerate(q1):
        for j, two in enumerate(q2):
            for function, found in zip(NUMPY[name], (dual.covariance, dual.derivative), strict=True):
                own = [double_integral(function, q, q, 1.0) for q in (one, two)]
                expected = double_integral(function, one, two, rho)
                assert abs(float(found[i, j]) - expected) < 2e-12 * math.sqrt(own[0] * own[1])


@pytest.mark.parametrize("rho", [-1.0, -0.3, 0.999, 1.0])
def test_quadrature_of_erf_meets_its_closed_form(rho: float) -> None:
    arguments = pairs([0.1, 1.0, 5.0], [0.7, 20.0], rho)
    found = smooth_dual(torch.erf, lambda z: 2 / math.pi**0.5 * (-(z**2)).exp(), arguments, name="erf")
    for one, two in zip(found, erf_dual(arguments), strict=True):
        torch.testing.assert_close(one, two, rtol=2e-12, atol=2e-12)


@pytest.mark.parametrize("activation", ["relu", "erf", "linear", *SMOOTH_ACTIVATIONS])
@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_own_and_cross_kernels_agree_also_at_equal_and_opposite_points(activation: str, bias: float) -> None:
    x = points(3)
    x = torch.cat([x, -x, 2 * x, x + 1e-9])
    own = infinite_ntk(x, depth=3, activation=activation, **scales(1.3, bias))
    cross = infinite_ntk(x, x.clone()[:5], depth=3, activation=activation, **scales(1.3, bias))
    for kernel, other in zip(own, cross, strict=True):
        assert torch.equal(kernel, kernel.T)
        torch.testing.assert_close(kernel[:, :5], other, rtol=1e-12, atol=1e-12)
        # Scaled and shifted copies of a point are where the arccosine would lose half of the digits.
        torch.testing.assert_close(kernel[:3, :3], kernel[9:, :3], rtol=1e-7, atol=1e-8)
    if activation == "relu" and bias == 0:
        # Homogeneous of degree 1 in each input without biases.
        for kernel in infinite_ntk(
            x, depth=3, activation="relu", **{**scales(1.3, 0.0), "readout_bias_std": 0.0}
        ):
            torch.testing.assert_close(kernel[6:9, :6], 2 * kernel[:3, :6], rtol=1e-14, atol=1e-14)
            torch.testing.assert_close(kernel[6:9, :3].diag(), 2 * kernel[:3, :3].diag(), rtol=1e-14, atol=0)


def test_no_hidden_layer_is_the_linear_kernel() -> None:
    x, y = points(3), points(2, seed=1)
    found = infinite_ntk(x, y, depth=0, activation="relu", **scales())
    expected = 0.81 * x @ y.T / 3 + 0.01
    torch.testing.assert_close(found.nngp, expected)
    torch.testing.assert_close(found.ntk, expected)
    zero_start = infinite_ntk(x, y, depth=0, activation="relu", **scales(), random_bias=False)
    torch.testing.assert_close(zero_start.nngp, expected - 0.01)
    torch.testing.assert_close(zero_start.ntk, expected)
