"""Problems whose risk is known: least squares, random features, and the solutions that training prefers."""

from dlexp.measures.risk.isotropic import isotropic_risk
from dlexp.measures.risk.minimum_norm import (
    LinearSystem,
    MinimumNormDistance,
    gradient_descent_limit,
    linear_system,
    minimum_norm_distance,
    minimum_norm_solution,
    null_space_part,
    ridge_solution,
)
from dlexp.measures.risk.random_features import FitErrors, random_feature_errors, random_feature_risk

__all__ = [
    "FitErrors",
    "LinearSystem",
    "MinimumNormDistance",
    "gradient_descent_limit",
    "isotropic_risk",
    "linear_system",
    "minimum_norm_distance",
    "minimum_norm_solution",
    "null_space_part",
    "random_feature_errors",
    "random_feature_risk",
    "ridge_solution",
]
