"""The linear pieces of a ReLU network on the line, in exact arithmetic.

Floating-point weights are dyadic rationals, and so are the slope and the intercept of every unit on an
interval where no ReLU switches: Python integers over one power of two hold them without rounding. Kinks,
the zeros of such functions, are fractions. No tolerance decides whether two pieces are one.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dlexp.measures.chain import ChainLayer, require_chain

Integers = npt.NDArray[np.object_]


@dataclass(frozen=True)
class LinearPieces:
    """A continuous piecewise linear function from the line to R^K, from left to right.

    ``breakpoints`` (count - 1,), ``slopes`` and ``intercepts`` (count, K), rounded to float64 on the CPU.
    """

    breakpoints: Tensor
    slopes: Tensor
    intercepts: Tensor

    @property
    def count(self) -> int:
        """The number of pieces."""
        return len(self.slopes)


class _Regions(NamedTuple):
    """The R intervals between ``cuts``, on each the units' values (slope t + intercept) / 2^exponent."""

    cuts: list[Fraction | float]
    slopes: Integers  # (units, R)
    intercepts: Integers  # (units, R)
    exponent: int


def linear_pieces(
    model: nn.Module, *, lower: float = -math.inf, upper: float = math.inf, max_regions: int = 100_000
) -> LinearPieces:
    """Return the linear pieces of a ReLU network with one input on the open interval (lower, upper).

    The model is a chain (see :mod:`dlexp.measures.chain`) of linear layers, ReLU, LeakyReLU and Identity;
    its stored weights are taken as exact numbers, so the count is that of the function over the reals, and
    kinks that cancel are not counted. A generic layer of n ReLUs has n + 1 pieces; k layers can have
    exponentially many in k (Telgarsky 2015; Montufar et al. 2014).

    Raises ``ValueError`` for any other module, more than one input, weights that are not finite, lower >=
    upper, and more than ``max_regions`` intervals.

    >>> linear_pieces(nn.Sequential(nn.Linear(1, 5), nn.ReLU(), nn.Linear(5, 1))).count
    6
    """
    if not lower < upper:
        raise ValueError(f"lower={lower} and upper={upper} enclose no interval; allowed: lower < upper")
    ends: list[Fraction | float] = [t if math.isinf(t) else Fraction(t) for t in (lower, upper)]
    regions = _Regions(ends, np.array([[1]], dtype=object), np.array([[0]], dtype=object), 0)
    for layer in _relu_layers(model):
        regions = _apply_linear(regions, layer)
        if isinstance(layer.activation, nn.ReLU | nn.LeakyReLU):
            regions = _apply_relu(regions, float(getattr(layer.activation, "negative_slope", 0.0)))
        if len(regions.cuts) - 1 > max_regions:
            raise ValueError(
                f"the network has {len(regions.cuts) - 1} linear regions after a layer; "
                f"allowed: max_regions={max_regions}"
            )
    return _merge(regions)


def _relu_layers(model: nn.Module) -> tuple[ChainLayer, ...]:
    layers = require_chain(model, "the model")
    for layer in layers:
        if type(layer.activation) not in (type(None), nn.ReLU, nn.LeakyReLU):
            raise ValueError(
                f"{type(layer.activation).__name__} is not a layer whose linear pieces can be followed; "
                "allowed: a Sequential of Linear, ReLU, LeakyReLU and Identity"
            )
    return layers


def _dyadic(values: Tensor) -> tuple[Integers, int]:
    """Return integers and an exponent e with values = integers / 2^e, exactly."""
    if not bool(torch.isfinite(values).all()):
        raise ValueError("the model has weights that are not finite; allowed: finite numbers")
    array = values.detach().double().cpu().numpy()
    ratios = [value.as_integer_ratio() for value in array.ravel().tolist()]
    exponent = max((denominator.bit_length() - 1 for _, denominator in ratios), default=0)
    integers = np.empty(len(ratios), dtype=object)
    integers[:] = [numerator * (2**exponent // denominator) for numerator, denominator in ratios]
    return integers.reshape(array.shape), exponent


def _apply_linear(regions: _Regions, layer: ChainLayer) -> _Regions:
    units, linear = len(regions.slopes), layer.linear
    if linear.in_features != units:
        raise ValueError(
            f"a layer expects {linear.in_features} inputs where {units} arrive; allowed: {units}"
        )
    weight, weight_exponent = _dyadic(layer.weight_scale * linear.weight)
    slopes, intercepts = weight @ regions.slopes, weight @ regions.intercepts
    exponent = regions.exponent + weight_exponent
    if linear.bias is not None:
        bias, bias_exponent = _dyadic(layer.bias_scale * linear.bias)
        common = max(exponent, bias_exponent)
        slopes = slopes * 2 ** (common - exponent)
        intercepts = intercepts * 2 ** (common - exponent) + bias[:, None] * 2 ** (common - bias_exponent)
        exponent = common
    return _Regions(regions.cuts, slopes, intercepts, exponent)


def _apply_relu(regions: _Regions, negative_slope: float) -> _Regions:
    (scale,), scale_exponent = _dyadic(torch.tensor([negative_slope], dtype=torch.float64))
    cuts: list[Fraction | float] = [regions.cuts[0]]
    columns: list[tuple[Integers, Integers]] = []
    for index, (left, right) in enumerate(zip(regions.cuts[:-1], regions.cuts[1:], strict=True)):
        slopes, intercepts = regions.slopes[:, index], regions.intercepts[:, index]
        inside = {
            Fraction(-b, a)
            for a, b in zip(slopes, intercepts, strict=True)
            if _sign(a, b, left) * _sign(a, b, right) < 0
        }
        for cut in [*sorted(inside), right]:
            # No unit changes its sign between neighbouring cuts: the two ends tell which are active.
            factors = np.array(
                [
                    2**scale_exponent if _sign(a, b, cuts[-1]) + _sign(a, b, cut) > 0 else scale
                    for a, b in zip(slopes, intercepts, strict=True)
                ],
                dtype=object,
            )
            columns.append((slopes * factors, intercepts * factors))
            cuts.append(cut)
    return _Regions(
        cuts,
        np.stack([slopes for slopes, _ in columns], axis=1),
        np.stack([intercepts for _, intercepts in columns], axis=1),
        regions.exponent + scale_exponent,
    )


def _sign(slope: int, intercept: int, t: Fraction | float) -> int:
    """Return the sign of slope * t + intercept, also in the limit t -> +-inf."""
    if isinstance(t, Fraction):
        value = slope * t.numerator + intercept * t.denominator
    else:
        value = (slope if t > 0 else -slope) or intercept
    return (value > 0) - (value < 0)


def _merge(regions: _Regions) -> LinearPieces:
    # The function is continuous: equal slopes on both sides of a cut mean one piece.
    changes = (regions.slopes[:, 1:] != regions.slopes[:, :-1]).any(axis=0)
    keep = [0, *(np.flatnonzero(changes) + 1)]
    denominator = 2**regions.exponent

    def rounded(values: Integers) -> Tensor:
        rows = [[float(Fraction(v, denominator)) for v in row] for row in values[:, keep].T]
        return torch.tensor(rows, dtype=torch.float64)

    breakpoints = [float(regions.cuts[index]) for index in keep[1:]]
    return LinearPieces(
        torch.tensor(breakpoints, dtype=torch.float64),
        rounded(regions.slopes),
        rounded(regions.intercepts),
    )
