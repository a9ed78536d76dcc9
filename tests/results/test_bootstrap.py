"""The interval: exact where enumerated, point-like where all is tied, with the coverage that it promises."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import ndtr, ndtri, stdtrit

from dlexp.results import bootstrap
from dlexp.results.bootstrap import Array, interval

Draw = Callable[[np.random.Generator, int], Array]

DATA: dict[str, tuple[Draw, float]] = {
    "normal": (lambda generator, n: generator.normal(size=n), 0.0),
    "uniform": (lambda generator, n: generator.uniform(-1, 1, size=n), 0.0),
    "Student t(3)": (lambda generator, n: generator.standard_t(3, size=n), 0.0),
    "lognormal, sd .5": (lambda generator, n: generator.lognormal(0, 0.5, size=n), math.exp(0.125)),
    "lognormal, sd 1": (lambda generator, n: generator.lognormal(0, 1, size=n), math.exp(0.5)),
    "5 or 6, half": (lambda generator, n: 5 + 1.0 * (generator.random(n) < 0.5), 5.5),
    "5 or 6, a fifth": (lambda generator, n: 5 + 1.0 * (generator.random(n) < 0.2), 5.2),
}


def first(means: Array) -> Array:
    return means[:, 0]


def interval_of_mean(values: Array) -> tuple[float, float]:
    return interval(values[:, None], first)[1:]


def coverage(
    data: str, n: int, tables: int, method: Callable[[Array], tuple[float, float]] = interval_of_mean
) -> float:
    """Return how often the interval of the mean holds the truth."""
    draw, truth = DATA[data]
    generator = np.random.default_rng(1)
    intervals = (method(draw(generator, n)) for _ in range(tables))
    return sum(low - 1e-9 <= truth <= high + 1e-9 for low, high in intervals) / tables


@pytest.mark.parametrize("n", [2, 3, 5, 6])
def test_enumeration_is_all_resamples(n):
    """Brute force: each of the n^n ordered resamples once."""
    counts, probabilities = bootstrap._resamples((n,))
    expected: dict[tuple[int, ...], float] = {}
    for drawn in itertools.product(range(n), repeat=n):
        key = tuple(drawn.count(seed) for seed in range(n))
        expected[key] = expected.get(key, 0) + n**-n
    found = dict(zip(map(tuple, counts.astype(int).tolist()), probabilities.tolist(), strict=True))
    assert found == pytest.approx(expected)
    assert len(counts) == len(expected)


def test_interval_of_a_mean_in_closed_form():
    """Of two replicates the percentiles are the two values, widened by t(1) / z * sqrt(2)."""
    factor = stdtrit(1, 0.975) / ndtri(0.975) * math.sqrt(2)
    assert interval(np.array([[1.0], [3.0]]), first) == pytest.approx((2, 2 - factor, 2 + factor))


def test_interval_on_a_grid_has_the_expanded_level():
    """Of 5 seeds the level is .00096, which three of the 3125 resamples reach and two do not."""
    level = ndtr(-stdtrit(4, 0.975) * math.sqrt(5 / 4))
    assert 2 / 3125 < level <= 3 / 3125
    # The maximum moves only if one seed is drawn five times (1 resample), or four times and another once (5).
    rows = np.array([[0.0, 1.0]] * 4 + [[3.5, 0.0]])
    moves = rows[:, 0] - rows[:, 1]

    def higher(means: Array) -> Array:
        return np.where(means[:, 0] > means[:, 1], 1.0, 2.0)

    assert sum(moves > 0) == 1
    assert interval(rows, higher, on_grid=True)[1:] == (
        1,
        2,
    )  # k draws of the last win if 3.5 k > 5 - k: k >= 2
    rows[4, 0] = 0.2  # five draws are needed: one resample, below the level
    assert interval(rows, higher, on_grid=True)[1:] == (2, 2)


@pytest.mark.parametrize("n", [2, 5, 8, 9, 20])
@pytest.mark.parametrize("value", [0.0, 0.1, -1 / 3, 1e308, 5e-324, math.inf, -math.inf])
@pytest.mark.parametrize("on_grid", [False, True])
def test_tied_values_give_the_point(n, value, on_grid):
    assert interval(np.full((n, 1), value), first, on_grid=on_grid) == (value, value, value)


def test_values_of_any_size_do_not_overflow():
    estimate, low, high = interval(np.array([[1e308], [-1e308], [1e308], [-1e308], [0.0]]), first)
    assert estimate == 0
    assert low < -1e308
    assert high > 1e308


def test_infinite_and_undefined_values():
    estimate, low, high = interval(np.array([[1.0], [2], [3], [4], [np.inf]]), first)
    assert estimate == high == np.inf
    assert 1 <= low < 4
    assert np.isnan(interval(np.array([[1.0], [np.nan]]), first)).all()
    assert np.isnan(interval(np.array([[np.inf], [-np.inf]]), first)).all()
    assert np.isnan(interval(np.zeros((0, 1)), first)).all()
    assert interval(np.array([[7.0]]), first) == (7, 7, 7)

    def undefined_above(means: Array) -> Array:
        return np.where(means[:, 0] > 0.7, np.nan, means[:, 0])

    # A resample on which the statistic is not defined could be anything.
    assert interval(np.array([[0.0], [1], [1], [0], [1]]), undefined_above)[1:] == (-np.inf, np.inf)


@pytest.mark.parametrize("n", [5, 12])
def test_interval_is_deterministic(n):
    rows = np.random.default_rng(3).normal(size=(n, 1))
    before = interval(rows, first)
    bootstrap._resamples.cache_clear()
    np.random.default_rng().normal()
    assert interval(rows, first) == before


def test_random_resamples_agree_with_the_enumeration(monkeypatch):
    rows = np.random.default_rng(4).normal(size=(8, 1))
    exact = interval(rows, first)
    bootstrap._resamples.cache_clear()
    monkeypatch.setattr(bootstrap, "_ENUMERATED", 1)
    sampled = interval(rows, first)
    bootstrap._resamples.cache_clear()
    assert sampled != exact
    assert sampled == pytest.approx(exact, abs=0.02 * (exact[2] - exact[1]))


@pytest.mark.parametrize(
    ("data", "lowest", "highest"),
    [("normal", 0.94, 0.97), ("Student t(3)", 0.94, 0.97), ("lognormal, sd .5", 0.89, 0.94)],
)
def test_coverage_of_five_seeds(data, lowest, highest):
    """2000 tables: the standard error is .005."""
    assert lowest < coverage(data, 5, 2000) < highest


def crossed(generator: np.random.Generator, rows: float, columns: float, both: float, n: int) -> Array:
    """Draw n by n values around 0 with standard deviations of rows, columns and each cell, row by row."""
    a, b = rows * generator.normal(size=(n, 1)), columns * generator.normal(size=(1, n))
    return (a + b + both * generator.normal(size=(n, n))).reshape(-1, 1)


@pytest.mark.parametrize(("rows", "columns", "both"), [(1, 0, 0.1), (1, 1, 0.1), (1, 1, 1), (0, 0, 1)])
def test_coverage_of_crossed_seeds(rows, columns, both):
    """At least what it promises, whatever varies; taken for independent, n^2 values miss one of three."""
    generator, n = np.random.default_rng(2), 5
    tables = [crossed(generator, rows, columns, both, n) for _ in range(400)]
    found = [interval(table, first, levels=(n, n)) for table in tables]
    covered = sum(low <= 0 <= high for _, low, high in found) / len(found)
    assert covered > 0.93
    if rows == 1 and both == 0.1:
        independent = [interval(table, first) for table in tables]
        assert sum(low <= 0 <= high for _, low, high in independent) / len(independent) < 0.75


def test_crossed_seeds_are_resampled_by_rows_and_columns():
    """What only the row decides has the interval of its rows, but for the random resamples."""
    values = np.random.default_rng(5).normal(size=(6, 1))
    alone = interval(values, first)
    for table, levels in ((np.repeat(values, 6, axis=0), (6, 6)), (np.tile(values, (6, 1)), (6, 6))):
        assert interval(table, first, levels=levels) == pytest.approx(alone, rel=0.05)


def test_the_shape_of_crossed_seeds_is_that_of_their_rows():
    """Row i, column j is i * columns + j."""
    counts, probabilities = bootstrap._resamples((2, 3))
    assert counts.shape == (len(probabilities), 6)
    grids = counts.reshape(-1, 2, 3)
    assert (grids.sum(axis=(1, 2)) == 6).all()
    assert (np.linalg.matrix_rank(grids) == 1).all()


def expanded(values: Array) -> tuple[float, float]:
    return interval(values[:, None], first, on_grid=True)[1:]


def percentile(values: Array) -> tuple[float, float]:
    counts, probabilities = bootstrap._resamples((len(values),))
    means = counts @ values / len(values)
    low, high = (bootstrap._quantile(sign * means, probabilities, 0.025) for sign in (1, -1))
    return low, -high


def student(values: Array) -> tuple[float, float]:
    n = len(values)
    half = stdtrit(n - 1, 0.975) * values.std(ddof=1) / math.sqrt(n)
    return values.mean() - half, values.mean() + half


def corrected(values: Array) -> tuple[float, float]:
    """Efron's bias-corrected and accelerated percentiles (BCa)."""
    n, mean = len(values), values.mean()
    if np.ptp(values) == 0:
        return mean, mean
    counts, probabilities = bootstrap._resamples((n,))
    means = counts @ values / n
    below = probabilities @ ((means < mean - 1e-12) + 0.5 * (np.abs(means - mean) <= 1e-12))
    bias, deviations = ndtri(below), values - mean
    acceleration = (deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5)
    shifted = bias + ndtri(np.array([0.025, 0.975]))
    low, high = ndtr(bias + shifted / (1 - acceleration * shifted))
    return (
        bootstrap._quantile(means, probabilities, low),
        -bootstrap._quantile(-means, probabilities, 1 - high),
    )


def studentised(values: Array) -> tuple[float, float]:
    """The bootstrap-t; resamples without spread, which have no t, are left out."""
    n, mean = len(values), values.mean()
    if np.ptp(values) == 0:
        return mean, mean
    counts, probabilities = bootstrap._resamples((n,))
    means = counts @ values / n
    spread = np.sqrt(np.maximum(counts @ (values - mean) ** 2 / n - (means - mean) ** 2, 0) / (n - 1))
    has_spread = spread > 1e-9 * values.std()
    quotients = (means - mean)[has_spread] / spread[has_spread]
    weights = probabilities[has_spread] / probabilities[has_spread].sum()
    error = values.std(ddof=1) / math.sqrt(n)
    high, low = (bootstrap._quantile(sign * quotients, weights, 0.025) for sign in (1, -1))
    return mean + low * error, mean - high * error


METHODS = {
    "this": interval_of_mean,
    "percentile": percentile,
    "BCa": corrected,
    "expanded": expanded,
    "bootstrap-t": studentised,
    "Student's t": student,
}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("n", [5, 10, 20])
def test_coverage_beside_the_alternatives(n):
    """Prints the table of bootstrap.py's docstring: it covers like Student's t, more than percentiles do."""
    names = METHODS if n == 5 else ("this", "percentile", "Student's t")
    for data in DATA:
        found = {name: coverage(data, n, 2000, METHODS[name]) for name in names}
        print(f"| {n:<2} | {data:<16} | " + " | ".join(f"{value:.3f}" for value in found.values()) + " |")
        if data in ("normal", "uniform", "Student t(3)"):
            assert 0.92 < found["this"] < 0.97
        assert found["this"] > found["percentile"] - 0.01
        assert abs(found["this"] - found["Student's t"]) < 0.02
