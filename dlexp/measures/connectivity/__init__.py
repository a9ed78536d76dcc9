"""Connectivity of two networks: losses on paths, barriers, permutation matching, trained curves."""

from dlexp.measures.connectivity.barrier import BARRIER_DEFINITIONS, barrier
from dlexp.measures.connectivity.curves import fit_bezier
from dlexp.measures.connectivity.matching import Matching, match_activations, match_permutation
from dlexp.measures.connectivity.path import BezierCurve, Path, PolygonalChain, end_points, path_losses

__all__ = [
    "BARRIER_DEFINITIONS",
    "BezierCurve",
    "Matching",
    "Path",
    "PolygonalChain",
    "barrier",
    "end_points",
    "fit_bezier",
    "match_activations",
    "match_permutation",
    "path_losses",
]
