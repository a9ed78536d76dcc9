"""The loss on lines and planes through weight space, and the directions that span them."""

from dlexp.measures.landscape.balance import balance_relu_units as balance_relu_units
from dlexp.measures.landscape.balance import rescale_first_layer as rescale_first_layer
from dlexp.measures.landscape.directions import random_direction as random_direction
from dlexp.measures.landscape.grids import centred_grid as centred_grid
from dlexp.measures.landscape.grids import loss_line as loss_line
from dlexp.measures.landscape.grids import loss_plane as loss_plane
from dlexp.measures.landscape.grids import (
    negative_second_difference_share as negative_second_difference_share,
)
from dlexp.measures.landscape.rescaling import rescaling_change as rescaling_change
from dlexp.measures.landscape.trajectory import (
    random_walk_explained_variance as random_walk_explained_variance,
)
from dlexp.measures.landscape.trajectory import trajectory_components as trajectory_components
