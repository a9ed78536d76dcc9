"""Each law against a formula written apart from it, its moments against integrals, its randomness."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.spatial.distance import cdist

from dlexp.data import generators
from dlexp.seeding import make_generator

N = 40_000
LAWS: dict[str, Callable] = {
    "sine_cosine": generators.sine_cosine,
    "sine_sum": generators.sine_sum,
    "sine_first": generators.sine_first,
    "sine_all": generators.sine_all,
    "compositional": generators.compositional,
    "additive": generators.additive,
    "radial": generators.radial,
    "damped_wave": generators.damped_wave,
    "plane_wave": generators.plane_wave,
    "linear_teacher": generators.linear_teacher,
    "sphere": generators.sphere,
    "sphere_times": partial(generators.sphere, target="sine_times_linear"),
    "gaussian_mixture": generators.gaussian_mixture,
    "parity": generators.parity,
}
INPUT_DIM = {"sine_all": 5, "additive": 8, "radial": 4, "damped_wave": 1, "linear_teacher": 20, "sphere": 5}
INPUT_DIM |= {"sphere_times": 5, "gaussian_mixture": 20, "plane_wave": 2}
NORMAL = ("sine_cosine", "sine_sum", "sine_first", "sine_all", "compositional", "additive", "radial")


def draw(name: str, n: int = 200, seed: int = 0, **kwargs: int) -> tuple[torch.Tensor, torch.Tensor]:
    return LAWS[name](n, torch.Generator().manual_seed(seed), **kwargs)


# One row at a time in plain Python: no broadcasting, no slicing shared with the code under test.
FORMULAS: dict[str, Callable[[list[float]], float]] = {
    "sine_cosine": lambda x: math.sin(x[0]) + math.cos(x[1]),
    "sine_sum": lambda x: math.sin(x[0] + x[1] + x[2]),
    "sine_first": lambda x: math.sin(x[0]),
    "sine_all": lambda x: math.sin(math.fsum(x)),
    "compositional": lambda x: math.cos(math.sin(max(math.fsum(x), 0.0))),
    "additive": lambda x: math.fsum(math.sin(value) for value in x),
    "radial": lambda x: math.cos(3 * math.hypot(*x)),
    "damped_wave": lambda x: math.sin(5 * x[0]) / math.exp(x[0] * x[0]),
    "plane_wave": lambda x: math.sin(3 / math.sqrt(2) * (x[0] + x[1])),
    "sphere": lambda x: math.sin(x[0]) * math.cos(x[1]) + math.cos(x[0]) * math.sin(x[1]),
    "sphere_times": lambda x: math.sin(x[0]) * x[1],
    "parity": lambda x: sum(value < 0 for value in x[:3]) % 2 == 0,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_target_is_the_stated_function_of_the_inputs(name: str) -> None:
    x, y = draw(name)
    np.testing.assert_allclose(y.flatten(), [FORMULAS[name](row) for row in x.tolist()], atol=1e-12)


@pytest.mark.parametrize("name", LAWS)
def test_shapes_and_types(name: str) -> None:
    x, y = draw(name, 7)
    assert x.shape == (7, INPUT_DIM.get(name, 10))
    assert x.dtype == torch.float64
    if name in ("gaussian_mixture", "parity"):
        assert y.shape == (7,)
        assert y.dtype == torch.int64
    else:
        assert y.shape == (7, 1)
        assert y.dtype == torch.float64


@pytest.mark.parametrize("name", LAWS)
def test_same_seed_same_bits_and_the_global_generator_is_untouched(name: str) -> None:
    before = torch.get_rng_state()
    first, again, other = draw(name), draw(name), draw(name, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not (first[0] == other[0]).any()


@pytest.mark.parametrize("name", NORMAL)
def test_inputs_are_standard_normal_and_independent(name: str) -> None:
    x, _ = draw(name, N)
    assert stats.kstest(x.flatten(), "norm").pvalue > 1e-3
    correlation = np.corrcoef(x, rowvar=False) - np.eye(x.shape[1])
    assert abs(correlation).max() < 4.5 / math.sqrt(N)


@pytest.mark.parametrize("name", ["damped_wave", "plane_wave", "parity"])
def test_inputs_are_uniform(name: str) -> None:
    x, _ = draw(name, N)
    assert stats.kstest(x[:, 0], stats.uniform(-1, 2).cdf).pvalue > 1e-3


def sphere_marginal_mean(function: Callable[[float], float], d: int) -> float:
    """E f(x_0) for x uniform on the sphere of radius sqrt(d): (1 + x_0 / sqrt(d)) / 2 is Beta((d-1)/2)."""
    law = stats.beta((d - 1) / 2, (d - 1) / 2)
    return law.expect(lambda u: function(math.sqrt(d) * (2 * u - 1)))


def normal_mean(function: Callable[[float], float], variance: float) -> float:
    return stats.norm(0, math.sqrt(variance)).expect(function)


def uniform_mean(function: Callable[[float], float]) -> float:
    return integrate.quad(function, -1, 1)[0] / 2


def moments_by_integration(name: str) -> tuple[float, float]:
    """Return the mean and the mean square of the target."""
    wave = FORMULAS["damped_wave"]
    chi = stats.chi(4)
    return {
        "sine_cosine": lambda: (math.exp(-0.5), 1.0),
        "sine_sum": lambda: (0.0, (1 - math.exp(-6)) / 2),
        "sine_first": lambda: (0.0, (1 - math.exp(-2)) / 2),
        "sine_all": lambda: (0.0, (1 - math.exp(-10)) / 2),
        "compositional": lambda: tuple(
            normal_mean(lambda s, p=p: math.cos(math.sin(max(s, 0.0))) ** p, 10) for p in (1, 2)
        ),
        "additive": lambda: (0.0, 8 * (1 - math.exp(-2)) / 2),
        "radial": lambda: tuple(chi.expect(lambda r, p=p: math.cos(3 * r) ** p) for p in (1, 2)),
        "damped_wave": lambda: (0.0, uniform_mean(lambda u: wave([u]) ** 2)),
        # E cos(2 a u) = sin(2 a) / (2 a), for each of the two inputs
        "plane_wave": lambda: (0.0, (1 - (math.sin(math.sqrt(18)) / math.sqrt(18)) ** 2) / 2),
        "linear_teacher": lambda: (0.0, 1.0),
        # x_0 + x_1 has the law of sqrt(2) x_0
        "sphere": lambda: (0.0, sphere_marginal_mean(lambda u: math.sin(math.sqrt(2) * u) ** 2, 5)),
        # given x_0, the other coordinates share the rest of |x|^2 = d evenly
        "sphere_times": lambda: (0.0, sphere_marginal_mean(lambda u: math.sin(u) ** 2 * (5 - u * u) / 4, 5)),
        "parity": lambda: (0.5, 0.5),
    }[name]()


@pytest.mark.parametrize("name", [name for name in LAWS if name != "gaussian_mixture"])
def test_mean_and_mean_square_of_the_target(name: str) -> None:
    _, y = draw(name, N)
    for power, expected in zip((1, 2), moments_by_integration(name), strict=True):
        sample = y.double() ** power
        assert abs(sample.mean() - expected) < 4 * sample.std() / math.sqrt(N)


def test_sphere_inputs_have_radius_sqrt_d_and_no_direction() -> None:
    x, _ = draw("sphere", N)
    np.testing.assert_allclose(x.norm(dim=1), math.sqrt(5), rtol=1e-12)
    assert x.mean(dim=0).abs().max() < 4.5 / math.sqrt(N)
    assert (x.T @ x / N - torch.eye(5)).abs().max() < 0.04
    law = stats.beta(2, 2)
    assert stats.kstest((1 + x[:, 0] / math.sqrt(5)) / 2, law.cdf).pvalue > 1e-3


def test_the_linear_teacher_is_a_unit_vector_of_its_own_seed() -> None:
    def direction(teacher_seed: int, seed: int) -> np.ndarray:
        x, y = draw("linear_teacher", 50, seed, teacher_seed=teacher_seed)
        solution, residual, *_ = np.linalg.lstsq(x.numpy(), y.numpy(), rcond=None)
        assert residual < 1e-20
        return solution

    assert np.linalg.norm(direction(0, 0)) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(direction(0, 0), direction(0, 1), atol=1e-12)
    assert abs((direction(0, 0) * direction(1, 0)).sum()) < 0.9


def test_a_student_who_sees_less_of_the_teacher_sees_the_first_columns_of_the_same_samples() -> None:
    whole, y_whole = draw("linear_teacher", input_dim=30)
    part, y_part = draw("linear_teacher", input_dim=12, teacher_dim=30)
    assert torch.equal(part, whole[:, :12])
    assert torch.equal(y_part, y_whole)


def test_mixture_classes_are_standard_normal_around_centers_of_their_own_seed() -> None:
    x, y = draw("gaussian_mixture", N, center_seed=3)
    other_x, other_y = draw("gaussian_mixture", N, seed=1, center_seed=3)
    counts = torch.bincount(y, minlength=17)
    assert stats.chisquare(counts).pvalue > 1e-3
    centers = torch.stack([x[y == label].mean(dim=0) for label in range(17)])
    other_centers = torch.stack([other_x[other_y == label].mean(dim=0) for label in range(17)])
    error = 1 / math.sqrt(N / 17)
    assert (centers - other_centers).abs().max() < 4.5 * math.sqrt(2) * error
    assert stats.kstest((x - centers[y]).flatten(), "norm").pvalue > 1e-3
    assert stats.kstest(centers.flatten(), "norm").pvalue > 1e-3
    assert (cdist(x[:4000], centers).argmin(axis=1) == y[:4000].numpy()).mean() == pytest.approx(
        0.97, abs=0.02
    )


def test_the_centers_scale_with_their_standard_deviation() -> None:
    means = [
        torch.stack([x[y == label].mean(dim=0) for label in range(3)])
        for x, y in (
            generators.gaussian_mixture(N, torch.Generator().manual_seed(0), classes=3, center_std=std)
            for std in (0.0, 1.0, 4.0)
        )
    ]
    torch.testing.assert_close(means[2] - means[0], 4 * (means[1] - means[0]))
    assert means[0].abs().max() < 0.05


def test_parity_cannot_be_told_from_fewer_bits() -> None:
    x, y = draw("parity", N)
    signs, label = x.sign(), 2 * y.double() - 1
    for columns in ([0], [1], [2], [0, 1], [0, 2], [1, 2], [3], [0, 1, 3]):
        assert abs((signs[:, columns].prod(dim=1) * label).mean()) < 4 / math.sqrt(N)
    assert (signs[:, :3].prod(dim=1) == label).all()
    x, y = draw("parity", bits=2, input_dim=2)
    assert ((x[:, 0] > 0) == (x[:, 1] > 0)).equal(y == 1)


@given(degree=st.integers(0, 12), n_train=st.integers(2, 40))
@settings(max_examples=20, deadline=None)
def test_chebyshev_is_the_polynomial_on_an_even_grid(degree: int, n_train: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x_train, y_train, x_test, y_test = generators.chebyshev(n_train, 30, generator, degree=degree)
    np.testing.assert_allclose(x_train[:, 0], [2 * i / (n_train - 1) - 1 for i in range(n_train)], atol=1e-12)
    coefficients = [0] * degree + [1]
    for x, y in ((x_train, y_train), (x_test, y_test)):
        np.testing.assert_allclose(y, np.polynomial.chebyshev.chebval(x.numpy(), coefficients), atol=1e-10)
    assert ((x_test >= -1) & (x_test < 1)).all()


def test_digits_are_split_without_overlap_and_the_test_set_does_not_move() -> None:
    from sklearn.datasets import load_digits

    x_train, y_train, x_test, y_test = generators.digits(1000, 797, make_generator("data/train", 0))
    fewer, _, same_test, _ = generators.digits(10, 797, make_generator("data/train", 0))
    _, _, other_test, _ = generators.digits(1000, 797, make_generator("data/train", 1))
    pixels, labels = load_digits(return_X_y=True)
    drawn = np.column_stack([torch.cat([x_train, x_test]) * 16, torch.cat([y_train, y_test])])
    bundled = np.column_stack([pixels, labels])
    # Every image exactly once: as sorted lists of rows the two are the same.
    np.testing.assert_array_equal(drawn[np.lexsort(drawn.T)], bundled[np.lexsort(bundled.T)])
    assert torch.equal(same_test, x_test)
    assert torch.equal(fewer, x_train[:10])
    assert not torch.equal(other_test, x_test)


def test_a_new_data_set_in_a_partial_is_recognised() -> None:
    from dlexp.data.generators.fixed import does_draw_both_sets

    assert does_draw_both_sets(partial(generators.chebyshev, degree=3))
    assert not does_draw_both_sets(partial(generators.sphere, input_dim=3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(draw, "sine_cosine", input_dim=1), "input_dim=1 is too small: .* at least 2"),
        (partial(draw, "sine_sum", input_dim=2), "input_dim=2 is too small: .* at least 3"),
        (partial(draw, "linear_teacher", input_dim=5, teacher_dim=4), "teacher_dim=4 is below input_dim=5"),
        (partial(draw, "sphere", target="cosine"), "target='cosine' is unknown; allowed: sine_of_sum"),
        (partial(draw, "gaussian_mixture", classes=1), "classes=1 is not allowed: it must be at least 2"),
        (partial(draw, "parity", bits=11), "bits=11 is not allowed: .* between 1 and input_dim=10"),
        (partial(generators.chebyshev, 2, 2, torch.Generator(), degree=-1), "degree=-1 is not allowed"),
        (
            partial(generators.digits, 1001, 797, torch.Generator()),
            "n_train=1001 and n_test=797 are too many",
        ),
        *[
            (partial(draw, name, input_dim=0), "input_dim=0 is too small")
            for name in LAWS
            if name not in ("damped_wave", "parity")
        ],
    ],
)
def test_bad_settings_are_refused_in_one_sentence(call: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("input_dim", [1, 10])
def test_standardized_targets_have_mean_0_and_variance_1_by_law(input_dim: int) -> None:
    plain, standardized = (
        draw("compositional", N, input_dim=input_dim, standardize=flag)[1].numpy() for flag in (False, True)
    )
    mean, square = (
        normal_mean(lambda s, p=p: math.cos(math.sin(max(s, 0.0))) ** p, input_dim) for p in (1, 2)
    )
    np.testing.assert_allclose(standardized, (plain - mean) / math.sqrt(square - mean**2), rtol=1e-6)


def test_even_grids_include_both_ends() -> None:
    x_train, y_train, x_test, y_test = generators.damped_wave_grid(5, 3, torch.Generator())
    assert x_train.flatten().tolist() == [-1, -0.5, 0, 0.5, 1]
    assert x_test.flatten().tolist() == [-1, 0, 1]
    for x, y in ((x_train, y_train), (x_test, y_test)):
        np.testing.assert_allclose(y.flatten(), [FORMULAS["damped_wave"](row) for row in x.tolist()])


@pytest.mark.parametrize("compositions", [1, 2, 5])
def test_a_tent_composed_k_times_is_a_sawtooth_of_2_to_the_k_pieces(compositions: int) -> None:
    x_train, y_train, x_test, y_test = generators.tent(
        2**compositions + 1, 1025, torch.Generator(), compositions=compositions
    )
    assert x_train[[0, -1]].flatten().tolist() == [0, 1]
    assert y_train.flatten().tolist() == [i % 2 for i in range(2**compositions + 1)]
    # the distance to the nearest even multiple of 2^-k, in units of 2^-k
    scaled = x_test * 2**compositions
    assert torch.equal(y_test, (scaled - 2 * (scaled / 2).round()).abs())


def test_a_tent_needs_a_composition() -> None:
    with pytest.raises(ValueError, match="compositions=0"):
        generators.tent(5, 5, torch.Generator(), compositions=0)
