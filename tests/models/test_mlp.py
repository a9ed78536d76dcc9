"""The MLP family: counts, and what each parametrisation promises at initialisation and in one step."""

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from dlexp.models.mlp import MLP

PARAMETRIZATIONS = ("standard", "ntk", "mup")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(seed: int = 0, **changes: Any) -> MLP:
    settings = {"input_dim": 5, "width": 8, "depth": 2, "generator": seeded(seed)}
    return MLP(**(settings | changes))


@pytest.fixture
def double_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"input_dim": 20, "width": 5, "depth": 1}, 22 * 5 + 1),
        ({"input_dim": 20, "width": 5, "depth": 1, "bias": False}, 21 * 5),
        ({"input_dim": 10, "width": 50, "depth": 2}, 550 + 2550 + 51),
        ({"input_dim": 64, "width": [100, 50], "depth": 2, "output_dim": 10}, 6500 + 5050 + 510),
        ({"input_dim": 7, "width": 3, "depth": 0, "output_dim": 2}, 16),
    ],
)
@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
def test_parameter_counts(settings: dict[str, Any], count: int, parametrization: str) -> None:
    model = make(**settings, parametrization=parametrization)
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    outputs = model(torch.zeros(3, settings["input_dim"]))
    assert outputs.shape == (3, settings.get("output_dim", 1))


ACTIVATION_OF_NUMBER: dict[str, Callable[[float], float]] = {
    "relu": lambda z: max(z, 0.0),
    "tanh": math.tanh,
    "gelu": lambda z: z * stats.norm.cdf(z),
    "erf": math.erf,
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "linear": lambda z: z,
}


@pytest.mark.parametrize("activation", ACTIVATION_OF_NUMBER)
def test_the_network_unit_by_unit(activation: str) -> None:
    model = make(width=[4, 3], output_dim=2, activation=activation).double()
    x = torch.randn(3, 5, dtype=torch.float64, generator=seeded(1))
    function = ACTIVATION_OF_NUMBER[activation]
    for row, output in zip(x.tolist(), model(x).tolist(), strict=True):
        signal = row
        for index, layer in enumerate(model.linear_layers()):
            weights, biases = layer.weight.tolist(), layer.bias.tolist()
            signal = [
                math.fsum(w * s for w, s in zip(line, signal, strict=True)) + b
                for line, b in zip(weights, biases, strict=True)
            ]
            if index < 2:
                signal = [function(z) for z in signal]
        np.testing.assert_allclose(output, signal, atol=1e-12)


# At initialisation


@torch.no_grad()
def output_variance(seeds: int = 60, **settings: Any) -> float:
    """Mean square of the outputs over seeds, 50 outputs each, at one input of norm 2."""
    x = torch.full((1, 5), 2 / math.sqrt(5), dtype=torch.float64)
    squares = []
    for seed in range(seeds):
        model = make(seed, output_dim=50, **settings).double()
        squares.append((model(x) ** 2).mean())
    return float(torch.stack(squares).mean())


@pytest.mark.parametrize("width", [64, 512])
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # E relu(z)^2 = E z^2 / 2, so He's sqrt(2) keeps the variance at |x|^2 / d = .8 in every layer.
        ({"initialization": "normal"}, lambda n: 0.8),
        ({"initialization": "normal", "depth": 1, "readout_weight_std": 2.0}, lambda n: 3.2),
        ({"parametrization": "ntk"}, lambda n: 0.8),
        ({"parametrization": "ntk", "depth": 1, "bias_std": 0.5, "random_bias": True}, lambda n: 1.175),
        ({"parametrization": "mup"}, lambda n: 0.8 * 64 / n),
        ({"parametrization": "mup", "depth": 1, "base_width": 16}, lambda n: 0.8 * 16 / n),
        # Uniform in +-1/sqrt(fan_in) has variance 1/(3 fan_in): q = (|x|^2 + 1)/(3 d), then (q/2 + 1/n)/3.
        ({"depth": 1}, lambda n: (5 / 15 / 2 + 1 / n) / 3),
        # Xavier: 2/(d + n) * |x|^2 before, half of it after the ReLU, times n * 2/(n + 50).
        (
            {"initialization": "xavier", "depth": 1, "weight_std": 3.0},
            lambda n: 9 * 2 / (5 + n) * 4 / 2 * n * 2 / (n + 50),
        ),
    ],
)
def test_output_variance_against_width(
    width: int, settings: dict[str, Any], expected: Callable[[int], float]
) -> None:
    seeds = 60 if settings.get("depth") == 1 else 600 // math.isqrt(width)
    assert output_variance(seeds, width=width, **settings) == pytest.approx(expected(width), rel=0.15)


@torch.no_grad()
def test_variance_of_other_activations_uses_weights_of_unit_variance() -> None:
    for parametrization in ("ntk", "mup"):
        model = make(width=2000, depth=1, activation="tanh", parametrization=parametrization)
        scale = model.hidden_1.weight_scale
        assert scale * model.hidden_1.weight.std() == pytest.approx(1 / math.sqrt(5), rel=0.03)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_at_the_base_width_mup_is_the_standard_parametrisation(depth: int) -> None:
    x = torch.randn(4, 5, generator=seeded(9))
    mup = make(width=16, depth=depth, parametrization="mup", base_width=16)
    standard = make(width=16, depth=depth, initialization="normal")
    torch.testing.assert_close(mup(x), standard(x))
    assert set(mup.learning_rate_factors("adam").values()) <= {1.0}
    assert set(mup.learning_rate_factors("sgd").values()) <= {1.0}


def test_the_ntk_parametrisation_starts_from_the_standard_function() -> None:
    x = torch.randn(4, 5, generator=seeded(9))
    ntk = make(width=30, parametrization="ntk", bias=False)
    standard = make(width=30, initialization="normal", bias=False)
    torch.testing.assert_close(ntk(x), standard(x))
    assert ntk.hidden_2.weight.detach().std() == pytest.approx(1, rel=0.1)


# In training


def features_and_outputs(model: MLP, x: Tensor) -> list[Tensor]:
    signals, signal = [], x
    for module in model:
        signal = module(signal)
        if module in model.linear_layers():
            signals.append(signal.detach())
    return signals


def movement_in_one_step(optimizer: str, lr: float, seed: int, factors: bool, **settings: Any) -> list[float]:
    """Root mean square change of the pre-activations of each layer, and of the outputs, in one step."""
    model = make(seed, **settings).double()
    x = torch.randn(16, 5, dtype=torch.float64, generator=seeded(seed + 100))
    before = features_and_outputs(copy.deepcopy(model), x)
    ((model(x) - x[:, :1].sin()) ** 2).mean().backward()
    scale = model.learning_rate_factors(optimizer) if factors else {}
    groups = [{"params": [p], "lr": lr * scale.get(name, 1.0)} for name, p in model.named_parameters()]
    (torch.optim.Adam(groups) if optimizer == "adam" else torch.optim.SGD(groups)).step()
    after = features_and_outputs(model, x)
    return [float((a - b).square().mean().sqrt()) for a, b in zip(after, before, strict=True)]


def slopes(optimizer: str, lr: float, factors: bool = True, **settings: Any) -> np.ndarray:
    """Exponents of the movement of each layer in the width."""
    widths = (64, 256, 1024)
    movements = [
        np.mean([movement_in_one_step(optimizer, lr, s, factors, width=w, **settings) for s in range(6)], 0)
        for w in widths
    ]
    return np.polyfit(np.log(widths), np.log(movements), 1)[0]


@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 0.1), ("adam", 0.001)])
def test_in_mup_one_step_moves_every_layer_and_the_output_alike_at_all_widths(
    optimizer: str, lr: float
) -> None:
    # base_width=1: the initial output, of variance 1/width, is then small against the targets at all widths.
    hidden_1, hidden_2, output = slopes(optimizer, lr, parametrization="mup", base_width=1)
    assert hidden_1 == pytest.approx(0, abs=0.05)
    assert hidden_2 == pytest.approx(0, abs=0.05)
    assert output == pytest.approx(0, abs=0.12)


def test_without_its_learning_rates_mup_is_not_width_independent() -> None:
    # SGD: gradients of the input weights are of order 1/n. Adam: n hidden weights move by one sign each.
    first = slopes("sgd", 0.1, factors=False, parametrization="mup", base_width=1)[0]
    assert first == pytest.approx(-1, abs=0.05)
    second = slopes("adam", 0.001, factors=False, parametrization="mup", base_width=1)[1]
    assert second == pytest.approx(1, abs=0.05)


def test_in_the_ntk_parametrisation_features_stand_still_and_the_output_moves() -> None:
    hidden_1, hidden_2, output = slopes("sgd", 0.1, parametrization="ntk")
    assert hidden_1 == pytest.approx(-0.5, abs=0.1)
    assert hidden_2 == pytest.approx(-0.5, abs=0.1)
    assert output == pytest.approx(0, abs=0.12)


def test_learning_rate_factors_are_those_of_the_table() -> None:
    model = make(input_dim=10, width=[128, 256], depth=2, parametrization="mup", base_width=64)
    assert model.learning_rate_factors("sgd") == {
        "hidden_1.weight": 2.0,
        "hidden_1.bias": 2.0,
        "hidden_2.weight": 1.0,
        "hidden_2.bias": 4.0,
        "readout.weight": 4.0,
    }
    for optimizer in ("adam", "adamw"):
        factors = model.learning_rate_factors(optimizer)
        assert factors.pop("hidden_2.weight") == 0.5
        assert set(factors.values()) == {1.0}
    assert set(model.learning_rate_factors("sgd")) < {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_only_mup_has_learning_rate_factors(parametrization: str) -> None:
    assert make(parametrization=parametrization).learning_rate_factors("sgd") == {}


def test_a_mup_network_without_hidden_layers_has_none() -> None:
    assert make(depth=0, parametrization="mup").learning_rate_factors("adam") == {}


# Randomness


@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
def test_same_seed_same_bits_and_the_global_generator_is_untouched(parametrization: str) -> None:
    before = torch.get_rng_state()
    first, again, other = (make(seed, parametrization=parametrization) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    late = make(3, parametrization=parametrization)
    for name, parameter in first.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name))
        assert torch.equal(parameter, late.get_parameter(name))
    assert not torch.equal(first.readout.weight, other.readout.weight)


@pytest.mark.usefixtures("double_by_default")
@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
def test_float32_and_float64_networks_start_from_the_same_draws(parametrization: str) -> None:
    double = make(parametrization=parametrization)
    torch.set_default_dtype(torch.float32)
    single = make(parametrization=parametrization)
    for name, parameter in double.named_parameters():
        assert parameter.dtype == torch.float64
        assert torch.equal(single.get_parameter(name), parameter.float())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "swish"}, "activation='swish' is unknown; allowed: relu, tanh"),
        ({"parametrization": "ntp"}, "parametrization='ntp' is unknown; allowed: standard, ntk, mup"),
        ({"initialization": "ones"}, "initialization='ones' is unknown; allowed: pytorch, normal, xavier"),
        ({"width": [3], "depth": 2}, "width lists 1 layers but depth=2"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**settings)
