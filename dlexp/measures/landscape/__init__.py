"""The loss on lines and planes through weight space, and the directions that span them."""

from dlexp.measures.landscape.balance import balance_relu_units, rescale_first_layer
from dlexp.measures.landscape.directions import (
    SolutionPlane,
    orthonormal_directions,
    plane_through,
    random_direction,
)
from dlexp.measures.landscape.grids import (
    Line,
    Plane,
    centred_grid,
    loss_line,
    loss_plane,
    negative_second_difference_share,
)
from dlexp.measures.landscape.rescaling import rescaling_change
from dlexp.measures.landscape.trajectory import (
    TrajectoryComponents,
    random_walk_explained_variance,
    trajectory_components,
)

__all__ = [
    "Line",
    "Plane",
    "SolutionPlane",
    "TrajectoryComponents",
    "balance_relu_units",
    "centred_grid",
    "loss_line",
    "loss_plane",
    "negative_second_difference_share",
    "orthonormal_directions",
    "plane_through",
    "random_direction",
    "random_walk_explained_variance",
    "rescale_first_layer",
    "rescaling_change",
    "trajectory_components",
]
