"""The same numbers on a GPU as on the CPU."""

import pytest
import torch

from dlexp.measures import geometry
from dlexp.models.mlp import MLP

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def test_geometry_on_cuda():
    generator = torch.Generator().manual_seed(0)
    model = MLP(input_dim=6, width=12, depth=1, activation="tanh", generator=generator).double()
    x = torch.randn(80, 6, dtype=torch.float64, generator=generator)
    labels = (x[:, 0] > 0).long()
    here = geometry.layer_features(model, x)["activation_1"]
    there = geometry.layer_features(model.cuda(), x.cuda(), chunk_size=33)["activation_1"]
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), here, rtol=1e-10, atol=1e-12)
    for measure in (geometry.participation_ratio, geometry.two_nn_dimension):
        assert measure(there) == pytest.approx(measure(here), rel=1e-9)
    assert geometry.principal_component_dimension(there) == geometry.principal_component_dimension(here)
    for measure in (geometry.variability_collapse, geometry.fisher_ratio):
        assert measure(there, labels.cuda()) == pytest.approx(measure(here, labels), rel=1e-9)
    assert geometry.linear_cka(there, x.cuda()) == pytest.approx(geometry.linear_cka(here, x), rel=1e-9)
    probes = [geometry.classification_probe(z, y, z, y) for z, y in ((there, labels.cuda()), (here, labels))]
    assert probes[0] == probes[1]
