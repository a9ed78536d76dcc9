import copy

import pytest
import torch
from scipy.optimize import brentq
from torch import nn

from dlexp.measures.functional import mean_squared_error, parameter_vector
from dlexp.measures.sharpness import (
    average,
    one_step,
    relative_to_edge,
    worst_case,
)
from dlexp.models.mlp import MLP

DOUBLE = torch.float64


@pytest.fixture
def quadratic():
    """Linear regression: the loss is exactly w^T H w / 2 + ..., with H = 2/N X^T X."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 6, dtype=DOUBLE, generator=generator) * torch.linspace(0.3, 2, 6, dtype=DOUBLE)
    y = torch.randn(30, 1, dtype=DOUBLE, generator=generator)
    model = nn.Linear(6, 1, bias=False).double()
    model.weight.data = torch.randn(1, 6, dtype=DOUBLE, generator=generator)
    hessian = 2 / 30 * x.T @ x
    gradient = (2 / 30 * x.T @ (x @ model.weight.detach().T - y))[:, 0]
    return (model, mean_squared_error, x, y), gradient, hessian


@pytest.fixture
def relu_network():
    generator = torch.Generator().manual_seed(0)
    model = MLP(
        input_dim=3,
        width=8,
        depth=2,
        activation="relu",
        initialization="normal",
        bias_std=0.3,
        generator=generator,
    ).double()
    x = torch.randn(20, 3, dtype=DOUBLE, generator=generator)
    return model, mean_squared_error, x, torch.sin(2 * x[:, :1])


def rescaled(model, factor):
    """The same function: one layer and its bias times ``factor``, the next layer's weights divided by it."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.hidden_1.weight.mul_(factor)
        other.hidden_1.bias.mul_(factor)
        other.hidden_2.weight.div_(factor)
    return other


def trust_region_maximum(gradient, hessian, radius):
    """max g.u + u^T H u / 2 over |u| <= radius, H convex: (mu - H) u = g, |u| = radius, mu >= lambda_max."""
    values, vectors = torch.linalg.eigh(hessian)
    g = vectors.T @ gradient

    def excess(mu):
        return float((g / (mu - values)).norm()) - radius

    top = float(values[-1])
    mu = brentq(excess, top + 1e-9, top + float(g.norm()) / radius + 1, xtol=1e-15, rtol=1e-15)
    u = g / (mu - values)
    return float(g @ u + 0.5 * (values * u) @ u)


@pytest.mark.parametrize("radius", [0.05, 0.5, 3.0])
@pytest.mark.parametrize("normalization", ["none", "adaptive"])
def test_worst_case_on_a_quadratic_is_the_trust_region_maximum(quadratic, radius, normalization):
    problem, gradient, hessian = quadratic
    weights = parameter_vector(problem[0])
    scale = weights.abs() if normalization == "adaptive" else torch.ones_like(weights)
    exact = trust_region_maximum(scale * gradient, scale[:, None] * hessian * scale, radius)
    result = worst_case(*problem, radius=radius, normalization=normalization)
    assert result.increase == pytest.approx(exact, rel=1e-5)
    assert result.increase <= exact * (1 + 1e-12)
    assert result.converged
    assert float((result.perturbation / scale).norm()) == pytest.approx(radius, rel=1e-9)
    moved = copy.deepcopy(problem[0])
    moved.weight.data += result.perturbation
    with torch.no_grad():
        before, after = (mean_squared_error(m(problem[2]), problem[3]) for m in (problem[0], moved))
    assert float(after - before) == pytest.approx(result.increase, rel=1e-10)


def test_worst_case_at_a_minimum_sees_lambda_max(quadratic):
    (model, loss_fn, x, y), _, hessian = quadratic
    model.weight.data = torch.linalg.lstsq(x, y).solution.T
    result = worst_case(model, loss_fn, x, y, radius=0.1)
    lambda_max = float(torch.linalg.eigvalsh(hessian)[-1])
    assert result.increase == pytest.approx(0.1**2 * lambda_max / 2, rel=1e-4)
    assert one_step(model, loss_fn, x, y, radius=0.1) < result.increase * (1 + 1e-9)
    # With the only start at a vanishing gradient there is nothing to ascend.
    flat = worst_case(model, lambda f, t: 0 * f.sum(), x, y, radius=0.1, n_starts=1)
    assert flat.increase == 0
    assert flat.perturbation.abs().max() == 0
    assert one_step(model, lambda f, t: 0 * f.sum(), x, y, radius=0.1) == 0


@pytest.mark.parametrize("normalization", ["none", "adaptive"])
def test_one_step_closed_form_and_bound(quadratic, normalization):
    problem, gradient, hessian = quadratic
    weights = parameter_vector(problem[0])
    scale = weights.abs() if normalization == "adaptive" else torch.ones_like(weights)
    delta = 0.3 * scale**2 * gradient / (scale * gradient).norm()
    exact = float(gradient @ delta + 0.5 * delta @ hessian @ delta)
    step = one_step(*problem, radius=0.3, normalization=normalization)
    assert step == pytest.approx(exact, rel=1e-10)
    assert step < worst_case(*problem, radius=0.3, normalization=normalization).increase


@pytest.mark.parametrize("normalization", ["none", "adaptive"])
def test_several_starts_find_more_on_a_network(relu_network, normalization):
    options = {"radius": 1.0, "normalization": normalization}
    single = worst_case(*relu_network, n_starts=1, **options)
    several = worst_case(*relu_network, n_starts=12, **options)
    assert one_step(*relu_network, **options) <= single.increase <= several.increase
    assert several.increases.shape == (12,)
    assert several.increase == float(several.increases.max())
    # No random point of the ball is worse.
    model, loss_fn, x, y = relu_network
    weights = parameter_vector(model)
    scale = weights.abs() if normalization == "adaptive" else torch.ones_like(weights)
    generator = torch.Generator().manual_seed(9)
    moved = copy.deepcopy(model)
    with torch.no_grad():
        base = float(loss_fn(model(x), y))
        for _ in range(200):
            u = torch.randn(len(weights), dtype=DOUBLE, generator=generator)
            nn.utils.vector_to_parameters(weights + scale * u / u.norm(), moved.parameters())
            assert float(loss_fn(moved(x), y)) - base < several.increase


@pytest.mark.parametrize("normalization", ["none", "adaptive"])
def test_average_on_a_quadratic(quadratic, normalization):
    problem, _, hessian = quadratic
    weights = parameter_vector(problem[0])
    scale = weights.abs() if normalization == "adaptive" else torch.ones_like(weights)
    trace = float((scale[:, None] * hessian * scale).trace())
    exact = 0.7**2 * trace / (2 * len(weights))
    generator = torch.Generator().manual_seed(0)
    options = {"radius": 0.7, "normalization": normalization, "generator": generator}
    sampled = average(*problem, n_samples=2000, **options)
    assert abs(sampled.increase - exact) < 4 * sampled.standard_error
    assert sampled.standard_error < 0.03 * exact


@pytest.mark.parametrize("factor", [10.0, 100.0])
def test_rescaling_leaves_the_adaptive_versions_alone(relu_network, factor):
    model, loss_fn, x, y = relu_network
    other = rescaled(model, factor)
    torch.testing.assert_close(other(x), model(x), rtol=1e-12, atol=1e-12)
    for measure, extra in ((worst_case, {"max_steps": 50}), (one_step, {}), (average, {})):
        options = {"radius": 0.2, **extra}
        values = {}
        for normalization in ("none", "adaptive"):
            before, after = (
                measure(m, loss_fn, x, y, normalization=normalization, **options) for m in (model, other)
            )
            values[normalization] = (getattr(before, "increase", before), getattr(after, "increase", after))
        before, after = values["adaptive"]
        assert after == pytest.approx(before, rel=1e-8)
        before, after = values["none"]
        assert after > 3 * before


def test_relative_to_edge():
    assert relative_to_edge(5.0, 0.4) == pytest.approx(1.0)
    assert relative_to_edge(5.0, 0.2) == pytest.approx(0.5)

    def growth(relative, momentum):
        """Heavy-ball gradient descent on lambda w^2 / 2."""
        lr = 0.1
        curvature = relative * 2 * (1 + momentum) / lr
        assert relative_to_edge(curvature, lr, momentum=momentum) == pytest.approx(relative)
        w, previous = 1.0, 1.0
        for _ in range(3000):
            w, previous = w - lr * curvature * w + momentum * (w - previous), w
        return abs(w)

    for momentum in (0.0, 0.9):
        assert growth(0.99, momentum) < 1e-6
        assert growth(1.01, momentum) > 1e6
