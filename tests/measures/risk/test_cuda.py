"""The same numbers on a GPU as on the CPU."""

import pytest
import torch

from dlexp.measures.functional import parameter_vector
from dlexp.measures.risk import linear_system, minimum_norm_distance, random_feature_errors
from dlexp.models.mlp import MLP

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def test_risk_on_cuda():
    generator = torch.Generator().manual_seed(0)
    model = MLP(input_dim=9, width=[], depth=0, generator=generator).double()
    x = torch.randn(5, 9, dtype=torch.float64, generator=generator)
    y = torch.randn(5, 1, dtype=torch.float64, generator=generator)
    here = minimum_norm_distance(*linear_system(model, x, y), parameter_vector(model))
    model.cuda()
    there = minimum_norm_distance(*linear_system(model, x.cuda(), y.cuda()), parameter_vector(model))
    assert there == pytest.approx(here, rel=1e-9)
    fits = [
        random_feature_errors(z, t, z, t, n_features=3, ridge=0.1, generator=torch.Generator().manual_seed(1))
        for z, t in ((x, y), (x.cuda(), y.cuda()))
    ]
    assert fits[1] == pytest.approx(fits[0], rel=1e-9)
