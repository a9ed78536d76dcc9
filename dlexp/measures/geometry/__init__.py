"""The geometry of a network's representations: what each layer's features tell and how they are spread."""

from dlexp.measures.geometry.dimension import participation_ratio as participation_ratio
from dlexp.measures.geometry.dimension import principal_component_dimension as principal_component_dimension
from dlexp.measures.geometry.dimension import two_nn_dimension as two_nn_dimension
from dlexp.measures.geometry.features import layer_features as layer_features
from dlexp.measures.geometry.features import leaf_modules as leaf_modules
from dlexp.measures.geometry.features import nonlinear_modules as nonlinear_modules
from dlexp.measures.geometry.probe import classification_probe as classification_probe
from dlexp.measures.geometry.probe import regression_probe as regression_probe
from dlexp.measures.geometry.separation import fisher_ratio as fisher_ratio
from dlexp.measures.geometry.similarity import cka_matrix as cka_matrix
from dlexp.measures.geometry.similarity import linear_cka as linear_cka
