"""Problems whose risk is known: least squares, random features, and the solutions that training prefers."""

from dlexp.measures.risk.closed_form import isotropic_risk as isotropic_risk
from dlexp.measures.risk.closed_form import random_feature_risk as random_feature_risk
from dlexp.measures.risk.minimum_norm import linear_system as linear_system
from dlexp.measures.risk.minimum_norm import minimum_norm_distance as minimum_norm_distance
from dlexp.measures.risk.minimum_norm import minimum_norm_solution as minimum_norm_solution
from dlexp.measures.risk.minimum_norm import ridge_solution as ridge_solution
