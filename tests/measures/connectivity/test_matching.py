import copy
import itertools

import pytest
import torch
from torch import Tensor, nn

from dlexp.measures.connectivity import match_permutation
from dlexp.models.mlp import MLP


def network(seed: int, width: int | list[int] = 16, depth: int = 1, **settings: object) -> MLP:
    generator = torch.Generator().manual_seed(seed)
    settings = {"bias_std": 0.5, "initialization": "normal", **settings}
    if settings.get("parametrization") == "ntk":
        del settings["initialization"]
    model = MLP(input_dim=5, width=width, depth=depth, output_dim=2, generator=generator, **settings)  # type: ignore[arg-type]
    return model.double()


def inputs() -> Tensor:
    return torch.randn(200, 5, generator=torch.Generator().manual_seed(99), dtype=torch.float64)


def shuffled(model: nn.Sequential, seed: int) -> tuple[nn.Sequential, list[Tensor]]:
    """Return the same function with its hidden units in another order, by explicit loops over units."""
    generator = torch.Generator().manual_seed(seed)
    other, orders = copy.deepcopy(model), []
    linear = [[m for m in net if isinstance(m, nn.Linear)] for net in (model, other)]
    with torch.no_grad():
        for index in range(len(linear[0]) - 1):
            order = torch.randperm(linear[0][index].out_features, generator=generator)
            orders.append(order)
            for new, old in enumerate(order.tolist()):
                linear[1][index].weight[new] = linear[1][index].weight.new_tensor(
                    linear[0][index].weight[old].tolist()
                )
                if linear[0][index].bias is not None:
                    linear[1][index].bias[new] = linear[0][index].bias[old]
            # The columns of this layer follow the order of the layer before.
            if index > 0:
                linear[1][index].weight.copy_(linear[1][index].weight[:, orders[index - 1]])
        linear[1][-1].weight.copy_(linear[0][-1].weight[:, orders[-1]])
    torch.testing.assert_close(other(inputs()), model(inputs()))
    return other, orders


SETTINGS = {
    "one": {"width": 64},
    "three": {"width": [16, 48, 24], "depth": 3},
    "five": {"width": 32, "depth": 5, "activation": "tanh"},
    "ntk": {"width": 32, "depth": 2, "parametrization": "ntk", "random_bias": True},
    "no_bias": {"width": 32, "depth": 2, "bias": False, "activation": "erf"},
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("is_ordered", [False, True])
def test_recovers_planted_permutations(name: str, is_ordered: bool) -> None:
    for seed in range(3):
        model = network(seed, **SETTINGS[name])  # type: ignore[arg-type]
        other, orders = shuffled(model, seed + 50)
        before = [copy.deepcopy(net.state_dict()) for net in (model, other)]
        generator = torch.Generator().manual_seed(seed) if is_ordered else None
        matching = match_permutation(model, other, generator=generator)
        assert matching.sweeps <= 6
        for key, value in matching.model.state_dict().items():
            assert torch.equal(value, before[0][key])
        for order, permutation in zip(orders, matching.permutations, strict=True):
            assert torch.equal(order[permutation], torch.arange(len(order)))
        for net, state in zip((model, other), before, strict=True):
            assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_one_hidden_layer_gives_the_best_of_all_permutations(parametrization: str) -> None:
    settings = {"width": 5, "parametrization": parametrization, "bias_std": 0.7, "random_bias": True}
    a, b = (network(seed, **settings) for seed in (0, 1))  # type: ignore[arg-type]
    matching = match_permutation(a, b)

    @torch.no_grad()
    def distance(order: Tensor) -> float:
        total = 0.0
        for name, rows, columns in (("hidden_1", order, slice(None)), ("readout", slice(None), order)):
            layer_a, layer_b = getattr(a, name), getattr(b, name)
            weight = layer_a.weight_scale * (layer_a.weight - layer_b.weight[rows][:, columns])
            bias = layer_a.bias_scale * (layer_a.bias - layer_b.bias[rows])
            total += float((weight**2).sum() + (bias**2).sum())
        return total

    best = min(distance(torch.tensor(order)) for order in itertools.permutations(range(5)))
    assert distance(matching.permutations[0]) == pytest.approx(best, rel=1e-12)


def test_units_with_equal_weights_and_no_hidden_layer() -> None:
    a = network(0, width=4, depth=3)
    with torch.no_grad():
        for p in a.parameters():
            p.fill_(1.0)
    assert match_permutation(a, a).sweeps == 1
    assert match_permutation(nn.Linear(3, 2), nn.Linear(3, 2)).permutations == []
