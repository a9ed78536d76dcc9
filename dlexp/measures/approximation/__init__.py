"""How well a network approximates a function, and of how many linear pieces it is made."""

from dlexp.measures.approximation.error import (
    ApproximationError,
    approximation_error,
    piecewise_constant_bound,
    piecewise_linear_bound,
)
from dlexp.measures.approximation.linear_pieces import LinearPieces, linear_pieces

__all__ = [
    "ApproximationError",
    "LinearPieces",
    "approximation_error",
    "linear_pieces",
    "piecewise_constant_bound",
    "piecewise_linear_bound",
]
