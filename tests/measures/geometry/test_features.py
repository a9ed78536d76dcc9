"""Features: the values a hand-written forward pass gives, and a model that stays as it was."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from dlexp.measures.geometry import layer_features, leaf_modules, nonlinear_modules
from dlexp.models.mlp import MLP


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def network(**options):
    return MLP(input_dim=3, width=5, depth=2, activation="tanh", generator=generator(), **options)


def inputs(n=7, d=3, dtype=torch.float32):
    return torch.randn(n, d, generator=generator(1), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("chunk_size", [None, 3])
def test_features_are_those_of_a_hand_written_forward_pass(dtype, chunk_size):
    model, x = network().to(dtype), inputs(dtype=dtype)
    expected, h = {}, x
    for name, module in model.named_children():
        h = module(h).detach()
        expected[name] = h
    features = layer_features(model, x, chunk_size=chunk_size)
    assert [*features] == ["hidden_1", "activation_1", "hidden_2", "activation_2", "readout"]
    for name, value in features.items():
        torch.testing.assert_close(value, expected[name])
        assert not value.requires_grad


def test_layers_choose_names_and_order():
    model, x = network(), inputs()
    features = layer_features(model, x, layers=["readout", "activation_1", ""])
    assert [*features] == ["readout", "activation_1", ""]
    assert torch.equal(features[""], features["readout"])
    assert leaf_modules(model) == ["hidden_1", "activation_1", "hidden_2", "activation_2", "readout"]
    assert nonlinear_modules(model) == ["activation_1", "activation_2"]


def test_in_place_activation_does_not_overwrite_the_layer_before():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True))
    features = layer_features(model, inputs())
    assert (features["0"] < 0).any()
    assert torch.equal(features["1"], features["0"].relu())


def test_convolutions_are_flattened_and_parametrised_weights_are_no_layers():
    model = nn.Sequential(weight_norm(nn.Conv2d(1, 2, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1))
    features = layer_features(model, torch.randn(5, 1, 4, 4, generator=generator()))
    assert {name: tuple(value.shape) for name, value in features.items()} == {
        "0": (5, 8),
        "1": (5, 8),
        "2": (5, 8),
        "3": (5, 1),
    }
