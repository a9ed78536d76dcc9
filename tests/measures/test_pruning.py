import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dlexp.measures.pruning import (
    dense_masks,
    density,
    magnitude_masks,
    random_masks,
    random_signs,
)
from dlexp.models.mlp import MLP


def network(width: int = 10, depth: int = 2, seed: int = 0) -> MLP:
    generator = torch.Generator().manual_seed(seed)
    return MLP(
        input_dim=5,
        width=width,
        depth=depth,
        output_dim=4,
        generator=generator,
        initialization="normal",
        bias_std=5,
    )


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def counts(masks: dict[str, Tensor]) -> list[int]:
    return [int(mask.sum()) for mask in masks.values()]


def smallest_kept_and_largest_pruned(weight: Tensor, mask: Tensor) -> tuple[float, float]:
    magnitudes = [abs(w) for w in weight.flatten().tolist()]
    kept = [m for m, k in zip(magnitudes, mask.flatten().tolist(), strict=True) if k]
    pruned = [m for m, k in zip(magnitudes, mask.flatten().tolist(), strict=True) if not k]
    return min(kept), max(pruned)


def test_layer_masks_keep_the_largest_of_each_layer_and_half_the_rate_at_the_readout() -> None:
    model = network()
    masks = magnitude_masks(model, 0.2)
    assert list(masks) == ["hidden_1.weight", "hidden_2.weight", "readout.weight"]
    # Of 50, 100 and 40 weights.
    assert counts(masks) == [40, 80, 36]
    for name, mask in masks.items():
        kept, pruned = smallest_kept_and_largest_pruned(model.get_parameter(name).detach(), mask)
        assert kept > pruned
        assert mask.dtype == torch.bool
    assert density(masks) == 156 / 190
    assert counts(magnitude_masks(model, 0.2, readout_rate=0.5)) == [40, 80, 20]


def test_previous_masks_hide_weights_that_grew_back() -> None:
    model = nn.Sequential(nn.Linear(4, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[9.0, 1.0, 2.0, 3.0]]))
    previous = {"0.weight": torch.tensor([[False, True, True, True]])}
    masks = magnitude_masks(model, 0.4, previous=previous, readout_rate=0.4)
    assert masks["0.weight"].tolist() == [[False, False, True, True]]


def test_global_threshold_skips_biases_and_empties_no_layer() -> None:
    model = network()
    with torch.no_grad():
        model.hidden_2.weight.mul_(1e-6)
    masks = magnitude_masks(model, 0.8, scope="global")
    assert sum(counts(masks)) == 38
    assert counts(masks)[1] == 1
    assert bool(masks["hidden_2.weight"].flatten()[model.hidden_2.weight.abs().argmax()])
    # The rest is one threshold over the two other layers.
    weights = torch.cat([model.hidden_1.weight.flatten(), model.readout.weight.flatten()]).detach()
    mask = torch.cat([masks["hidden_1.weight"].flatten(), masks["readout.weight"].flatten()])
    kept, pruned = smallest_kept_and_largest_pruned(weights, mask)
    assert kept > pruned
    assert not any("bias" in name for name in masks)
    assert counts(magnitude_masks(model, 0.999, scope="global")) == [1, 1, 1]


def test_ties_keep_what_comes_first() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 3))
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(-1.0)
    masks = magnitude_masks(model, 0.5, readout_rate=0.5)
    assert masks["0.weight"].tolist() == [[True] * 3, [False] * 3]
    masks = magnitude_masks(model, 0.5, scope="global")
    # One weight of the second layer is protected.
    assert masks["0.weight"].flatten().tolist() == [True] * 5 + [False]
    assert masks["2.weight"].flatten().tolist() == [True] + [False] * 5


@settings(max_examples=40, deadline=None)
@given(
    rate=st.floats(0, 0.99),
    width=st.integers(1, 9),
    scope=st.sampled_from(["layer", "global"]),
    seed=st.integers(0, 9),
)
def test_counts_and_nesting_for_any_rate(rate: float, width: int, scope: str, seed: int) -> None:
    model = network(width=width, seed=seed)
    sizes = [5 * width, width * width, 4 * width]
    remaining, masks = sizes, None
    for _ in range(4):
        previous, masks = masks, magnitude_masks(model, rate, scope=scope, previous=masks)
        if scope == "layer":
            rates = [rate, rate, rate / 2]
            remaining = [max(1, math.floor(m * (1 - r) + 0.5)) for m, r in zip(remaining, rates, strict=True)]
            assert counts(masks) == remaining
        assert min(counts(masks)) >= 1
        if previous is not None:
            assert all(not bool((masks[name] & ~previous[name]).any()) for name in masks)


def test_random_masks_have_the_same_counts_at_uniform_places() -> None:
    masks = magnitude_masks(network(), 0.7)
    state = torch.get_rng_state()
    draws = [random_masks(masks, generator=generator(seed)) for seed in range(400)]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(counts(draw) == counts(masks) for draw in draws)
    frequency = torch.stack([draw["hidden_1.weight"] for draw in draws]).double().mean(dim=0)
    # Five standard errors of a share of .3 over 400 draws.
    assert float((frequency - 0.3).abs().max()) < 5 * math.sqrt(0.3 * 0.7 / 400)
    again = random_masks(masks, generator=generator(0))
    assert all(torch.equal(again[name], draws[0][name]) for name in masks)


def test_random_signs_keep_magnitudes() -> None:
    model = network(width=40)
    initial = {name: p.detach() for name, p in model.named_parameters()}
    masks = magnitude_masks(model, 0.5)
    signs = random_signs(initial, masks, generator=generator())
    for name, value in initial.items():
        if name not in masks:
            assert signs[name] is value
            continue
        assert torch.equal(signs[name].abs(), value.abs())
        assert 0.35 < float((signs[name] == value).float().mean()) < 0.65
        assert 0.35 < float((signs[name] > 0).float().mean()) < 0.65


def test_frozen_weights_and_convolutions() -> None:
    model = nn.Sequential(nn.Conv1d(2, 3, 4), nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(6, 10))
    assert {name: mask.numel() for name, mask in dense_masks(model).items()} == {
        "0.weight": 24,
        "3.weight": 60,
    }
    model[0].weight.requires_grad_(False)
    assert list(magnitude_masks(model, 0.5)) == ["3.weight"]


def test_weights_are_what_the_module_uses_as_weights(caplog):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.readout = nn.Linear(4, 1)
            self.body = torch.nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
            self.norm = nn.LayerNorm((2, 4))
            self.turn = torch.nn.utils.parametrizations.orthogonal(nn.Linear(4, 4))

    torch.manual_seed(0)
    model = Model()
    with caplog.at_level("INFO"):
        masks = magnitude_masks(model, 0.5)
    assert list(masks) == ["readout.weight", "body.parametrizations.weight.original1"]
    assert density({"body": masks["body.parametrizations.weight.original1"]}) == 0.5
    assert density({"readout": masks["readout.weight"]}) == 0.75
    assert "readout.weight is pruned as the readout, at the rate 0.25" in caplog.text
    with torch.no_grad():
        direction = model.body.parametrizations.weight.original1
        direction.mul_(masks["body.parametrizations.weight.original1"])
    assert int((model.body.weight == 0).sum()) == 6  # the density that acts
