"""Features: the values a hand-written forward pass gives, and a model that stays as it was."""

import copy

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


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5))
    model.eval()
    model[0].train()
    model(inputs()).sum().backward()
    state, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    gradients = [p.grad.clone() for p in model.parameters()]
    rng = torch.get_rng_state()
    if fails:
        with pytest.raises(RuntimeError, match="shapes"):
            layer_features(model, inputs(d=2))
    else:
        layer_features(model, inputs())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), rng)
    assert not any(module._forward_hooks for module in model.modules())


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.activation, self.unused = nn.Linear(3, 3), nn.ReLU(), nn.ReLU()

    def forward(self, x):
        return self.activation(self.linear(self.activation(x)))


class Pair(nn.Module):
    def forward(self, x):
        return x, x


def test_what_has_no_single_matrix_is_refused():
    x = inputs()
    with pytest.raises(ValueError, match="'activation' is called 2 times"):
        layer_features(Twice(), x, layers=["activation"])
    with pytest.raises(ValueError, match="'unused' is called 0 times"):
        layer_features(Twice(), x, layers=["unused"])
    with pytest.raises(ValueError, match="layers names 'missing'"):
        layer_features(Twice(), x, layers=["missing"])
    with pytest.raises(ValueError, match="returns tuple"):
        layer_features(Pair(), x)
    with pytest.raises(ValueError, match=r"returns a tensor \(21,\)"):
        layer_features(nn.Flatten(0), x)
    with pytest.raises(ValueError, match="training mode"):
        layer_features(nn.Dropout(0.5), x)
    with pytest.raises(ValueError, match="chunk_size=0"):
        layer_features(network(), x, chunk_size=0)
    with pytest.raises(ValueError, match="x has shape"):
        layer_features(network(), x[:0])
