import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlexp.measures.functional import mean_squared_error
from dlexp.measures.hessian import lanczos_eigenvalues, spectrum, top_eigenvalues
from dlexp.models.mlp import MLP

DOUBLE = torch.float64


def operator_of(matrix):
    return lambda v: v @ matrix


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    model = MLP(input_dim=3, width=8, depth=2, activation="tanh", generator=generator).double()
    x = torch.randn(20, 3, dtype=DOUBLE, generator=generator)
    return model, mean_squared_error, x, torch.sin(3 * x[:, :1])


def test_both_ends_of_a_network(problem, brute_hessian):
    hessian = brute_hessian(*problem)
    exact = torch.linalg.eigvalsh(hessian)
    torch.testing.assert_close(spectrum(*problem), exact, rtol=1e-10, atol=1e-12)
    top = top_eigenvalues(*problem, 4)
    torch.testing.assert_close(top.eigenvalues, exact.flip(0)[:4], rtol=1e-10, atol=1e-12)
    bottom = top_eigenvalues(*problem, 4, end="smallest")
    torch.testing.assert_close(bottom.eigenvalues, exact[:4], rtol=1e-10, atol=1e-12)
    both = top_eigenvalues(*problem, end="both")
    torch.testing.assert_close(both.eigenvalues, exact[[-1, 0]], rtol=1e-10, atol=1e-12)
    assert exact[0] < 0  # or the signed order would not be tested
    for pairs in (top, bottom, both):
        assert pairs.converged
        images = pairs.eigenvectors @ hessian
        residuals = (images - pairs.eigenvalues[:, None] * pairs.eigenvectors).norm(dim=1)
        torch.testing.assert_close(pairs.residuals, residuals, rtol=0, atol=1e-12)
        assert (residuals < 1e-7 * exact.abs().max()).all()
        gram = pairs.eigenvectors @ pairs.eigenvectors.T
        torch.testing.assert_close(gram, torch.eye(len(gram), dtype=DOUBLE), rtol=0, atol=1e-10)


def test_no_ghosts(random_symmetric):
    # An outlier that converges at once is what plain Lanczos finds again and again.
    exact = torch.cat([torch.linspace(0, 1, 197, dtype=DOUBLE), torch.tensor([5.0, 50, 5e4], dtype=DOUBLE)])
    operator, like = operator_of(random_symmetric(exact)), exact
    pairs = lanczos_eigenvalues(operator, like, 1, tolerance=1e-15, max_products=120)
    assert pairs.eigenvalues[0] == pytest.approx(5e4, rel=1e-12)
    pairs = lanczos_eigenvalues(operator, like, 3, tolerance=1e-14, max_products=180)
    torch.testing.assert_close(pairs.eigenvalues, exact.flip(0)[:3], rtol=1e-10, atol=0)


@pytest.mark.parametrize("rank", [1, 3])
def test_breakdown_in_an_invariant_space(random_symmetric, rank):
    exact = torch.zeros(40, dtype=DOUBLE)
    exact[-rank:] = torch.arange(1, rank + 1, dtype=DOUBLE)
    operator = operator_of(random_symmetric(exact))
    pairs = lanczos_eigenvalues(operator, exact, 6)
    torch.testing.assert_close(pairs.eigenvalues, exact.flip(0)[:6], rtol=0, atol=1e-12)
    assert pairs.converged
    assert pairs.products <= 24


_BULK = torch.linspace(0, 1, 150, dtype=DOUBLE)
TIGHT = {
    "linear": _BULK,
    "square root": _BULK.sqrt(),
    "power law": 1 / torch.arange(1, 151, dtype=DOUBLE).flip(0),
    "two outliers": torch.cat([0.5 * _BULK[2:], torch.tensor([0.97, 1.0], dtype=DOUBLE)]),
    "three outliers": torch.cat([0.2 * _BULK[3:], torch.tensor([0.9, 0.95, 1.0], dtype=DOUBLE)]),
    "cluster": torch.cat([0.2 * _BULK[20:], torch.linspace(0.9, 1.0, 20, dtype=DOUBLE)]),
}


@pytest.mark.parametrize("exact", TIGHT.values(), ids=TIGHT.keys())
@pytest.mark.parametrize("start", [None, -1, -2, -3])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-5])
def test_what_is_said_to_have_converged_is_the_top_eigenvalue(random_symmetric, exact, start, tolerance):
    for seed in range(3):
        matrix = random_symmetric(exact, seed)
        # Eigenvectors that were the top ones some training steps ago, and have been overtaken since.
        row = None if start is None else torch.linalg.eigh(matrix).eigenvectors[:, start]
        pairs = lanczos_eigenvalues(
            operator_of(matrix),
            exact,
            start=row,
            tolerance=tolerance,
            generator=torch.Generator().manual_seed(seed),
        )
        assert pairs.converged
        assert float(exact.max() - pairs.eigenvalues[0]) <= min(tolerance, 1e-3)


def test_a_warm_start_saves_products():
    exact = 1 / torch.arange(1, 301, dtype=DOUBLE).flip(0)
    operator = operator_of(exact.diag())
    cold = lanczos_eigenvalues(operator, exact, tolerance=1e-10)
    warm = lanczos_eigenvalues(operator, exact, start=cold.eigenvectors, tolerance=1e-10)
    assert warm.converged
    assert warm.products <= cold.products


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(-5, 5), min_size=1, max_size=12),
    st.integers(0, 1000),
    st.sampled_from(["largest", "smallest"]),
)
def test_any_spectrum(values, seed, end):
    exact = torch.tensor(sorted(values), dtype=DOUBLE)
    generator = torch.Generator().manual_seed(seed)
    q = torch.linalg.qr(torch.randn(len(values), len(values), dtype=DOUBLE, generator=generator)).Q
    k = 1 + seed % len(values)
    pairs = lanczos_eigenvalues(operator_of((q * exact) @ q.T), exact, k, end=end, generator=generator)
    expected = exact.flip(0)[:k] if end == "largest" else exact[:k]
    torch.testing.assert_close(pairs.eigenvalues, expected, rtol=0, atol=1e-9)
    assert pairs.converged


def test_says_when_it_did_not_converge(random_symmetric):
    exact = torch.linspace(0, 1, 300, dtype=DOUBLE)
    matrix = random_symmetric(exact)
    pairs = lanczos_eigenvalues(operator_of(matrix), exact, max_products=8)
    assert not pairs.converged
    assert pairs.products == 9
    error = (exact - pairs.eigenvalues[0]).abs().min()
    assert 1e-6 < error <= pairs.residuals[0]


def test_random_numbers_come_from_the_generator(problem):
    state = torch.get_rng_state()
    first = top_eigenvalues(*problem, max_products=3)
    assert torch.equal(first.eigenvalues, top_eigenvalues(*problem, max_products=3).eigenvalues)
    other = top_eigenvalues(*problem, max_products=3, generator=torch.Generator().manual_seed(5))
    assert not torch.equal(first.eigenvalues, other.eigenvalues)
    assert torch.equal(torch.get_rng_state(), state)
