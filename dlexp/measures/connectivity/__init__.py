"""Connectivity of two networks: losses on paths, barriers, permutation matching, trained curves."""

from dlexp.measures.connectivity.curves import fit_bezier as fit_bezier
from dlexp.measures.connectivity.matching import match_permutation as match_permutation
from dlexp.measures.connectivity.path import BARRIER_DEFINITIONS as BARRIER_DEFINITIONS
from dlexp.measures.connectivity.path import BezierCurve as BezierCurve
from dlexp.measures.connectivity.path import PolygonalChain as PolygonalChain
from dlexp.measures.connectivity.path import barrier as barrier
from dlexp.measures.connectivity.path import end_points as end_points
from dlexp.measures.connectivity.path import path_losses as path_losses
