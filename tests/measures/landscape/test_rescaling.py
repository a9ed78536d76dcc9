import pytest
import torch
from torch import Tensor

from dlexp.measures.functional import mean_squared_error
from dlexp.measures.landscape import rescaling_change
from dlexp.models.mlp import MLP


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(**settings: object) -> MLP:
    return MLP(input_dim=4, width=6, depth=2, generator=generator(), **settings).double()  # type: ignore[arg-type]


def data() -> tuple[Tensor, Tensor]:
    x = torch.randn(30, 4, generator=generator(9), dtype=torch.float64)
    return x, torch.sin(x.sum(dim=1, keepdim=True))


@pytest.mark.parametrize(
    ("normalize", "bias", "is_invariant"),
    [
        ("none", "zero", False),
        ("unit", "zero", False),
        ("layer", "zero", True),
        ("filter", "zero", True),
        ("filter", "scale", True),
    ],
)
def test_normalisation_by_layer_or_filter_undoes_the_rescaling(
    normalize: str, bias: str, is_invariant: bool
) -> None:
    change = rescaling_change(
        network(), mean_squared_error, *data(), 10.0, normalize, bias=bias, generator=generator(1), points=5
    )
    assert (change < 1e-12) if is_invariant else (change > 0.1)
