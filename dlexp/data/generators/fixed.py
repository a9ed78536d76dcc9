"""Data sets that are no law to draw from: their training set and test set are made together."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from dlexp import targets
from dlexp.data.generators.inputs import uniform_inputs

TrainAndTest = tuple[Tensor, Tensor, Tensor, Tensor]
Function = TypeVar("Function", bound=Callable[..., TrainAndTest])


def draws_both_sets(function: Function) -> Function:
    """Mark ``(n_train, n_test, generator) -> (x_train, y_train, x_test, y_test)`` for the data module.

    For sets that must know of each other: a finite collection, whose two parts may not overlap, or a
    training set on a grid. The test set should not depend on ``n_train``.
    """
    function.draws_both_sets = True  # type: ignore[attr-defined]
    return function


def does_draw_both_sets(function: Callable[..., tuple[Tensor, ...]]) -> bool:
    """Whether the function, or the one a partial holds, is marked by :func:`draws_both_sets`."""
    inner = function.func if isinstance(function, partial) else function
    return getattr(inner, "draws_both_sets", False)


@draws_both_sets
def chebyshev(n_train: int, n_test: int, generator: torch.Generator, *, degree: int = 4) -> TrainAndTest:
    """``y = T_degree(x) = cos(degree arccos x)``, the Chebyshev polynomial, on [-1, 1].

    The training inputs are ``n_train`` equally spaced points, both ends included (Cohen et al. 2021); the
    test inputs are uniform in [-1, 1).

    Raises ``ValueError`` for a negative degree.
    """
    if degree < 0:
        raise ValueError(f"degree={degree} is not allowed: it must be at least 0")
    x_train = _even_grid(-1, n_train)
    x_test = uniform_inputs(n_test, 1, generator)
    return x_train, (degree * x_train.arccos()).cos(), x_test, (degree * x_test.arccos()).cos()


@draws_both_sets
def damped_wave_grid(n_train: int, n_test: int, generator: torch.Generator) -> TrainAndTest:
    """``y = sin(5 x) exp(-x^2)``, both sets evenly spaced on [-1, 1], both ends included."""
    x_train, x_test = _even_grid(-1, n_train), _even_grid(-1, n_test)
    return x_train, targets.damped_wave(x_train), x_test, targets.damped_wave(x_test)


@draws_both_sets
def tent(n_train: int, n_test: int, generator: torch.Generator, *, compositions: int = 5) -> TrainAndTest:
    """``y = T(... T(x))``, the tent map composed so often, both sets evenly spaced on [0, 1], ends included.

    The targets are exact where the number of points is a power of two plus one.

    Raises ``ValueError`` for fewer than 1 composition.
    """
    if compositions < 1:
        raise ValueError(f"compositions={compositions} is not allowed: it must be at least 1")
    x_train, x_test = _even_grid(0, n_train), _even_grid(0, n_test)
    return x_train, targets.tent(x_train, compositions), x_test, targets.tent(x_test, compositions)


def _even_grid(lower: float, n: int) -> Tensor:
    return torch.linspace(lower, 1, n, dtype=torch.float64)[:, None]


@draws_both_sets
def digits(n_train: int, n_test: int, generator: torch.Generator) -> TrainAndTest:
    """Scikit-learn's bundled digits: 1797 images of 8 x 8 pixels in [0, 1], labels 0 to 9.

    One random order of the images is cut in two: the test set is its first ``n_test`` images, whatever
    ``n_train``, and the training set the ``n_train`` after them.

    Raises ``ValueError`` if there are not as many images.
    """
    from sklearn.datasets import load_digits  # imported late: it takes most of a second

    pixels, labels = load_digits(return_X_y=True)
    if n_train + n_test > len(labels):
        raise ValueError(
            f"n_train={n_train} and n_test={n_test} are too many: digits has {len(labels)} images in all"
        )
    order = torch.randperm(len(labels), generator=generator)
    x = torch.from_numpy(pixels).double()[order] / 16
    y = torch.from_numpy(labels).long()[order]
    end = n_test + n_train
    return x[n_test:end], y[n_test:end], x[:n_test], y[:n_test]
