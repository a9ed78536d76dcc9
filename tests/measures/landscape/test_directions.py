import pytest
import torch
from torch import Tensor, nn

from dlexp.measures.functional import unflatten
from dlexp.measures.landscape import random_direction
from dlexp.models.mlp import MLP


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def convolutional() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)
    ).double()


def mlp() -> MLP:
    return MLP(input_dim=4, width=6, depth=2, generator=generator(5)).double()


def parts(model: nn.Module, direction: Tensor) -> dict[str, Tensor]:
    return unflatten(direction, {name: p.detach() for name, p in model.named_parameters()})


@pytest.mark.parametrize("build", [mlp, convolutional])
def test_filters_have_the_norms_of_the_weights(build) -> None:
    model = build()
    direction = parts(model, random_direction(model, "filter", generator=generator()))
    raw = parts(model, random_direction(model, "none", generator=generator()))
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            assert not direction[name].any()
            continue
        for unit, weights in enumerate(parameter.detach()):
            assert float(direction[name][unit].norm()) == pytest.approx(float(weights.norm()), rel=1e-12)
            # Scaled, not turned.
            cosine = torch.cosine_similarity(
                direction[name][unit].flatten(), raw[name][unit].flatten(), dim=0
            )
            assert float(cosine) == pytest.approx(1, rel=1e-12)


def test_layers_and_scaled_biases_have_the_norms_of_their_tensors() -> None:
    model = mlp()
    scaled = parts(model, random_direction(model, "layer", bias="scale", generator=generator()))
    for name, parameter in model.named_parameters():
        assert float(scaled[name].norm()) == pytest.approx(float(parameter.detach().norm()), rel=1e-12)
    filters = parts(model, random_direction(model, "filter", bias="scale", generator=generator()))
    assert float(filters["hidden_1.bias"].norm()) == pytest.approx(float(model.hidden_1.bias.detach().norm()))
    layer = parts(model, random_direction(model, "layer", generator=generator()))
    assert not torch.allclose(
        layer["hidden_2.weight"].norm(dim=1), model.hidden_2.weight.detach().norm(dim=1)
    )


def test_gaussian_and_unit_directions() -> None:
    model = MLP(input_dim=50, width=200, depth=2, generator=generator()).double()
    direction = random_direction(model, "none", generator=generator())
    assert abs(float(direction.mean())) < 0.02
    assert float(direction.square().mean()) == pytest.approx(1, abs=0.03)
    unit = random_direction(model, "unit", generator=generator())
    assert float(unit.norm()) == pytest.approx(1, rel=1e-12)
    torch.testing.assert_close(unit * direction.norm(), direction)


def test_depends_on_the_generator_only() -> None:
    model = mlp()
    state = torch.get_rng_state()
    first, again, other = (random_direction(model, generator=generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    single = random_direction(mlp().float(), generator=generator())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), first, rtol=1e-5, atol=1e-6)
    assert torch.equal(torch.get_rng_state(), state)
