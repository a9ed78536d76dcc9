import pytest
import torch

from dlexp.measures.functional import mean_squared_error
from dlexp.measures.hessian import lanczos_quadrature, spectral_density
from dlexp.models.mlp import MLP

DOUBLE = torch.float64


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    model = MLP(input_dim=3, width=6, depth=2, activation="tanh", generator=generator).double()
    x = torch.randn(15, 3, dtype=DOUBLE, generator=generator)
    return model, mean_squared_error, x, torch.cos(2 * x[:, 1:2])


def test_exact_for_polynomials_up_to_degree_2m_minus_1(random_symmetric):
    matrix = random_symmetric(torch.linspace(-1, 1, 50, dtype=DOUBLE) ** 3)
    starts = torch.randn(4, 50, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    nodes, weights = lanczos_quadrature(lambda v: v @ matrix, starts, 5)
    assert nodes.shape == weights.shape == (4, 5)
    power = starts
    for degree in range(11):
        exact = (starts * power).sum(1) / (starts**2).sum(1)
        estimate = (weights * nodes**degree).sum(1)
        if degree <= 9:
            torch.testing.assert_close(estimate, exact, rtol=0, atol=1e-13)
        else:
            assert (estimate - exact).abs().min() > 1e-6
        power = power @ matrix


@pytest.mark.parametrize("steps", [4, 20, 200])
def test_exhausted_spaces_give_the_exact_spectrum(random_symmetric, steps):
    # Two of the probes lie in small invariant spaces, the third sees all three eigenvalues.
    exact = torch.tensor([0.0] * 20 + [1.0] * 5 + [7.0], dtype=DOUBLE)
    matrix = random_symmetric(exact)
    vectors = torch.linalg.eigh(matrix).eigenvectors
    starts = torch.stack([vectors[:, -1], 3 * vectors[:, 0] + 4 * vectors[:, -1], vectors.sum(1)])
    nodes, weights = lanczos_quadrature(lambda v: v @ matrix, starts, steps)
    expected = [(0, 0, 1), (9 / 25, 0, 16 / 25), (20 / 26, 5 / 26, 1 / 26)]
    for row, masses in enumerate(expected):
        for value, mass in zip((0, 1, 7), masses, strict=True):
            near = (nodes[row] - value).abs() < 1e-6
            assert float(weights[row][near].sum()) == pytest.approx(mass, abs=1e-10)


def test_moments_of_a_network(problem, brute_hessian):
    hessian = brute_hessian(*problem)
    size = len(hessian)
    result = spectral_density(*problem, n_probes=400, n_steps=10)
    for power in (1, 2, 3):
        samples = (result.weights * result.nodes**power).sum(1)
        error = float(samples.std()) / 400**0.5
        exact = float(torch.linalg.matrix_power(hessian, power).trace()) / size
        assert abs(float(samples.mean()) - exact) < 4 * error
    assert float(torch.trapezoid(result.density, result.grid)) == pytest.approx(1, abs=1e-5)


def test_density_is_the_exact_one_blurred(problem, brute_hessian):
    eigenvalues = torch.linalg.eigvalsh(brute_hessian(*problem))
    grid = torch.linspace(-1, 6, 200, dtype=DOUBLE)
    result = spectral_density(
        *problem, n_probes=500, n_steps=30, kernel_width=0.3, grid=grid, distribution="gaussian"
    )
    gaussians = torch.distributions.Normal(eigenvalues, 0.3).log_prob(grid[:, None]).exp()
    exact = gaussians.mean(1)
    assert result.kernel_width == 0.3
    assert result.density.sub(exact).abs().max() < 0.03 * exact.max()
    assert exact.max() > 0.5


def test_is_a_function_of_its_generator(problem):
    state = torch.get_rng_state()
    first, second = spectral_density(*problem, n_steps=5), spectral_density(*problem, n_steps=5)
    other = spectral_density(*problem, n_steps=5, generator=torch.Generator().manual_seed(1))
    assert torch.equal(first.density, second.density)
    assert not torch.equal(first.density, other.density)
    assert torch.equal(torch.get_rng_state(), state)
