"""Convolutional, residual, recurrent networks and the transformer: their draws and what they compute."""

import pytest
import torch
import torch.nn.functional as F

from dlexp.models.convolutional import CNN, Conv1d
from dlexp.models.recurrent import GRU
from dlexp.models.residual import ResidualMLP
from dlexp.models.transformer import Transformer

MODELS = {
    "conv1d": lambda **own: Conv1d(input_dim=40, output_dim=3, **own),
    "cnn": lambda **own: CNN(input_dim=64, output_dim=3, **own),
    "residual": lambda **own: ResidualMLP(input_dim=16, output_dim=3, **own),
    "gru": lambda **own: GRU(input_dim=10, output_dim=3, **own),
    "transformer": lambda **own: Transformer(input_dim=64, output_dim=3, **own),
}


@pytest.mark.parametrize("name", MODELS)
def test_all_weights_come_from_the_generator(name):
    networks = []
    for seed, drawn in ((0, 0), (1, 0), (0, 1)):
        torch.manual_seed(seed)
        networks.append(MODELS[name](generator=torch.Generator().manual_seed(drawn)).state_dict())
    one, same, other = networks
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)
    with pytest.raises(ValueError, match="generator=None is not allowed"):
        MODELS[name]()


@pytest.mark.parametrize("name", MODELS)
def test_each_row_is_computed_by_itself(name):
    network = MODELS[name](generator=torch.Generator().manual_seed(0)).double()
    size = {"conv1d": 40, "residual": 16, "gru": 10}.get(name, 64)
    x = torch.randn(4, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    whole = network(x)
    assert whole.shape == (4, 3)
    assert torch.allclose(torch.cat([network(row[None]) for row in x]), whole, rtol=1e-12)


def test_a_residual_block_adds_to_its_input():
    network = ResidualMLP(input_dim=3, width=4, depth=1, generator=torch.Generator().manual_seed(0))
    x = torch.randn(2, 3)
    h = network.embedding(x)
    _, inner, _, outer = network.blocks[0]
    expected = h + outer(torch.relu(inner(F.layer_norm(h, (4,)))))
    assert torch.allclose(network(x), network.readout(expected), atol=1e-6)


def test_attention_is_softmax_of_scaled_products():
    network = Transformer(input_dim=6, tokens=3, width=4, depth=1, generator=torch.Generator().manual_seed(0))
    (block,) = network.blocks
    h = torch.randn(2, 3, 4)
    attended = torch.empty(2, 3, 4)
    projected = block.project(block.attention_norm(h))
    for head in (0, 1):
        q, k, v = (projected[..., 4 * i + 2 * head : 4 * i + 2 * head + 2] for i in range(3))
        weights = torch.softmax(q @ k.transpose(1, 2) / 2**0.5, dim=-1)
        attended[..., 2 * head : 2 * head + 2] = weights @ v
    middle = h + block.mix(attended)
    expected = middle + block.hidden(block.hidden_norm(middle))
    assert torch.allclose(block(h), expected, atol=1e-6)


REFUSED = [
    (lambda g: Conv1d(input_dim=2, generator=g), "a series of 2 is too short"),
    (lambda g: CNN(input_dim=10, generator=g), "input_dim=10 is not allowed"),
    (lambda g: CNN(input_dim=9, depth=2, generator=g), "must be a square image of at least 4 x 4"),
    (lambda g: Transformer(input_dim=10, tokens=3, generator=g), "tokens=3 is not allowed"),
    (lambda g: Transformer(input_dim=9, tokens=3, width=5, generator=g), "heads=2 is not allowed"),
]


@pytest.mark.parametrize(("make", "sentence"), REFUSED)
def test_shapes_that_do_not_fit_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(torch.Generator().manual_seed(0))
