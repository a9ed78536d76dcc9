"""Closed-form linearised training against training, step by step."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor
from torch.func import jacrev

from dlexp.measures.functional import FunctionalModel, mean_squared_error, parameter_vector
from dlexp.measures.ntk import empirical_ntk, linearized_predictions
from dlexp.models.mlp import MLP

LOSSES = {
    "mean": mean_squared_error,
    "half_mean": lambda f, y: mean_squared_error(f, y) / 2,
    "half_sum": lambda f, y: ((f - y) ** 2).sum() / 2,
}


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def setting(outputs: int) -> tuple[MLP, Tensor, Tensor, Tensor]:
    model = MLP(
        input_dim=3, width=8, depth=2, output_dim=outputs, activation="tanh",
        generator=torch.Generator().manual_seed(0),
    ).double()  # fmt: skip
    return model, normal(6, 3, seed=1), normal(4, 3, seed=2), normal(6, outputs, seed=3)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("loss", LOSSES)
def test_equals_gradient_descent_on_the_linearised_model(loss: str, outputs: int) -> None:
    model, t, x, y = setting(outputs)
    start, f = parameter_vector(model), FunctionalModel(model, t).outputs_at

    jacobians = {points: jacrev(f)(start, points) for points in (t, x)}

    def linearised(vector: Tensor, points: Tensor) -> Tensor:
        return f(start, points) + jacobians[points] @ (vector - start)

    lr, steps = 0.05, 37
    vector = start.clone()
    for _ in range(steps):
        vector = vector.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(LOSSES[loss](linearised(vector, t), y), vector)
        vector = vector - lr * gradient
    kernel_tt, kernel_xt = empirical_ntk(model, t), empirical_ntk(model, x, t)
    f0_t, f0_x = model(t).detach(), model(x).detach()
    for points, kernel, f0 in ((x, kernel_xt, f0_x), (t, kernel_tt, f0_t)):
        found = linearized_predictions(kernel_tt, kernel, f0_t, f0, y, lr, steps, loss=loss)
        torch.testing.assert_close(found, linearised(vector, points).detach(), rtol=1e-10, atol=1e-10)
        assert float((found - f0).norm()) > 0.05, "training must have moved the predictions"


@pytest.mark.parametrize("rate", [0.3, 1.0, 1.7, 2.2])
def test_equals_the_recursion_also_beyond_critical_rates(rate: float) -> None:
    basis = normal(5, 3, seed=4)
    kernel = basis @ basis.T  # rank 3 of 5: two directions never move
    kernel_xt = normal(2, 3, seed=5) @ basis.T
    lr = rate / float(torch.linalg.eigvalsh(kernel)[-1])
    f0_t, f0_x, y = normal(5, seed=6), normal(2, seed=7), normal(5, seed=8)
    at_t, at_x = f0_t.clone(), f0_x.clone()
    expected = [at_x]
    for _ in range(20):
        at_t, at_x = at_t - lr * kernel @ (at_t - y), at_x - lr * kernel_xt @ (at_t - y)
        expected.append(at_x)
    found = linearized_predictions(kernel, kernel_xt, f0_t, f0_x, y, lr, torch.arange(21))
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        linearized_predictions(kernel, kernel, f0_t, f0_t, y, lr, 20), at_t, rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_equals_gradient_flow_integrated_numerically(loss: str) -> None:
    basis = normal(4, 6, seed=4)
    kernel, kernel_xt = basis @ basis.T, normal(2, 6, seed=5) @ basis.T
    f0_t, f0_x, y = normal(4, 2, seed=6), normal(2, 2, seed=7), normal(4, 2, seed=8)
    both = torch.cat([kernel, kernel_xt])

    def slope(_time: float, flat: np.ndarray) -> np.ndarray:
        f = torch.tensor(flat).view(6, 2)[:4].requires_grad_()
        (gradient,) = torch.autograd.grad(LOSSES[loss](f, y), f)
        return -(both @ gradient).flatten().numpy()

    start = torch.cat([f0_t, f0_x]).flatten().numpy()
    end = solve_ivp(slope, (0, 0.1 * 7), start, rtol=1e-11, atol=1e-12).y[:, -1]
    found = linearized_predictions(
        kernel, kernel_xt, f0_t, f0_x, y, 0.1, 7, loss=loss, dynamics="gradient_flow"
    )
    torch.testing.assert_close(found, torch.tensor(end).view(6, 2)[4:], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dynamics", ["gradient_descent", "gradient_flow"])
def test_the_limit_is_minimum_norm_regression_also_for_singular_kernels(dynamics: str) -> None:
    features, new = normal(5, 3, seed=4), normal(2, 3, seed=5)
    y, zeros_t, zeros_x = normal(5, seed=8), torch.zeros(5).double(), torch.zeros(2).double()
    lr = 1 / float(torch.linalg.eigvalsh(features @ features.T)[-1])
    arguments = (features @ features.T, new @ features.T, zeros_t, zeros_x, y, lr)
    expected = new @ torch.linalg.lstsq(features, y[:, None]).solution[:, 0]
    for steps in (math.inf, 1e9):
        found = linearized_predictions(*arguments, steps, dynamics=dynamics)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    single = [argument.float() for argument in arguments[:5]]
    found = linearized_predictions(*single, lr, math.inf, dynamics=dynamics)
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-3)


def test_rounding_in_the_null_space_grows_no_faster_than_the_steps() -> None:
    # An eigenvalue -1e-9, which is rounding, would make exp(100) of 1e11 steps.
    kernel, kernel_xt = torch.diag(torch.tensor([1.0, -1e-9])).double(), torch.tensor([[1.0, 1e-12]]).double()
    zero, y = torch.zeros(2).double(), torch.ones(2).double()
    for dynamics in ("gradient_descent", "gradient_flow"):
        found = linearized_predictions(kernel, kernel_xt, zero, zero[:1], y, 1.0, 1e11, dynamics=dynamics)
        assert float(found) == pytest.approx(1 + 1e11 * 1e-12)


def test_many_small_steps_keep_their_digits() -> None:
    kernel = torch.tensor([[1e-12]], dtype=torch.float64)
    one, zero = torch.ones(1).double(), torch.zeros(1).double()
    found = linearized_predictions(kernel, kernel, zero, zero, one, 1.0, 1000)
    assert float(found) == pytest.approx(-math.expm1(1000 * math.log1p(-1e-12)), rel=1e-14, abs=0)
