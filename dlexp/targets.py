"""Functions that data sets sample and that networks are constructed for: (N, d) -> (N, 1), any real dtype."""

import math
from collections.abc import Callable

from torch import Tensor


def damped_wave(x: Tensor) -> Tensor:
    """``sin(5 x) exp(-x^2)`` of one variable."""
    return (5 * x).sin() * (-(x**2)).exp()


def plane_wave(x: Tensor) -> Tensor:
    """``sin(3 sum_i x_i / sqrt(d))``: as steep in any dimension, along one direction."""
    return (3 * x.sum(dim=-1, keepdim=True) / math.sqrt(x.shape[-1])).sin()


def tent(x: Tensor, compositions: int) -> Tensor:
    """The tent ``T(x) = 1 - |2 x - 1|`` composed so often: on [0, 1] a sawtooth of 2^compositions pieces.

    Exact in floating point wherever x is a dyadic fraction.
    """
    for _ in range(compositions):
        x = 1 - (2 * x - 1).abs()
    return x


TARGETS: dict[str, Callable[[Tensor], Tensor]] = {"damped_wave": damped_wave, "plane_wave": plane_wave}
