"""The mean of replicates and its interval by Student's t, for tables and figures; no library is loaded."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Estimate(NamedTuple):
    """Mean of `n` replicates, the 95 % Student-t interval of the mean, the standard deviation (n - 1).

    One replicate has no spread: `sd`, `low` and `high` are then NaN.
    """

    n: int
    mean: float
    low: float
    high: float
    sd: float

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of finite values with the interval ``mean +- t(0.975, n - 1) sd / sqrt(n)``.

    >>> found = estimate([1.0, 3.0])
    >>> found.n, found.mean, round(found.low, 3), round(found.high, 3)
    (2, 2.0, -10.706, 14.706)
    """
    n = len(values)
    if n == 0:
        return Estimate(0, math.nan, math.nan, math.nan, math.nan)
    # Through the largest value, so that no square overflows.
    scale = max(abs(float(value)) for value in values) or 1.0
    scaled = [float(value) / scale for value in values]
    mean = math.fsum(scaled) / n
    if n == 1:
        return Estimate(1, float(values[0]), math.nan, math.nan, math.nan)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in scaled) / (n - 1))
    half = student_quantile(n) * sd / math.sqrt(n)
    return Estimate(n, mean * scale, (mean - half) * scale, (mean + half) * scale, sd * scale)


def student_quantile(n: int) -> float:
    """Return the 97.5 % quantile of Student's t for the mean of n values.

    >>> round(student_quantile(5), 4)
    2.7764
    """
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 0.975))
