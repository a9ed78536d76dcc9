"""Chains are recognised by a positive list: each entry is tried, and each way of being something else."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from dlexp.measures.chain import ACTIVATIONS, chain_of, require_chain, why_no_chain
from dlexp.models.layers import ScaledLinear
from dlexp.models.mlp import MLP

_ARGUMENTS = {nn.Threshold: (0.1, 20.0)}


def _chain() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(3, 4), nn.Tanh(), nn.Sequential(ScaledLinear(4, 4), nn.ReLU()), nn.Linear(4, 2)
    )


@pytest.mark.parametrize("kind", ACTIVATIONS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("training", [False, True])
def test_a_listed_activation_applies_one_function_to_every_entry(
    kind: type[nn.Module], training: bool
) -> None:
    activation = kind(*_ARGUMENTS.get(kind, ())).train(training)
    numbers = 3 * torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    state, random_state = copy.deepcopy(vars(activation)), torch.get_rng_state()
    values = activation(numbers.clone())
    single = torch.stack([activation(number.clone().reshape(1, 1)) for number in numbers.flatten()])
    torch.testing.assert_close(values, single.reshape(4, 6), rtol=1e-14, atol=1e-14)
    assert str(vars(activation)) == str(state)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert chain_of(nn.Sequential(nn.Linear(3, 4), activation)) is not None


def test_the_layers_of_a_chain_compute_what_the_network_computes() -> None:
    network = _chain().double()
    network[2][0].weight_scale, network[2][0].bias_scale = 0.3, 2.0
    torch.nn.init.normal_(network[2][0].weight)
    torch.nn.init.normal_(network[2][0].bias)
    layers = chain_of(network)
    assert layers is not None
    assert [layer.name for layer in layers] == ["0", "2.0", "3"]
    x = hidden = torch.randn(5, 3, dtype=torch.float64)
    for layer in layers:
        hidden = layer.weight_scale * hidden @ layer.linear.weight.T + layer.bias_scale * layer.linear.bias
        hidden = hidden if layer.activation is None else layer.activation(hidden)
    torch.testing.assert_close(hidden, network(x))


def test_networks_of_the_package_and_single_layers_are_chains() -> None:
    layers = chain_of(MLP(input_dim=3, width=5, depth=2, parametrization="ntk"))
    assert layers is not None
    assert [layer.name for layer in layers] == ["hidden_1", "hidden_2", "readout"]
    (layer,) = chain_of(nn.Linear(3, 2)) or ()
    assert (layer.name, layer.activation, layer.weight_scale) == ("", None, 1.0)


def test_identities_are_passed_over() -> None:
    layers = chain_of(nn.Sequential(nn.Identity(), nn.Linear(3, 2), nn.Identity(), nn.Tanh(), nn.Identity()))
    assert layers is not None
    assert [(layer.name, type(layer.activation)) for layer in layers] == [("1", nn.Tanh)]


class _Doubled(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


class _Backwards(nn.Sequential):
    def __iter__(self):
        return reversed(list(self._modules.values()))


class _Subclass(nn.Linear):
    pass


def _with(change: Callable[[nn.Sequential], object]) -> nn.Module:
    network = _chain()
    change(network)
    return network


def _share(network: nn.Sequential) -> None:
    network.append(network[1])


def _view(network: nn.Sequential) -> None:
    network[2][0].weight = nn.Parameter(network[0].weight.data.new_zeros(4, 4))
    network[0].weight.data = network[2][0].weight.data[:, :3]


def _own_forward(network: nn.Sequential) -> None:
    network[1].forward = lambda x: x  # type: ignore[method-assign]


NO_CHAINS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "forward of its own": (lambda: _Doubled(nn.Linear(2, 2)), "the network itself is a _Doubled"),
    "another order": (lambda: _Backwards(nn.Linear(2, 2), nn.Tanh()), "is a _Backwards"),
    "subclass": (lambda: nn.Sequential(_Subclass(2, 2)), "module '0' is a _Subclass"),
    "softmax": (lambda: nn.Sequential(nn.Linear(2, 2), nn.Softmax(1)), "module '1' is a Softmax"),
    "dropout": (lambda: nn.Sequential(nn.Linear(2, 2), nn.Dropout()), "module '1' is a Dropout"),
    "layer norm": (lambda: nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), "module '1' is a LayerNorm"),
    "prelu": (lambda: nn.Sequential(nn.Linear(2, 2), nn.PReLU()), "module '1' is a PReLU"),
    "no linear layer": (lambda: nn.Sequential(nn.Tanh()), "does not begin with a linear layer"),
    "empty": (nn.Sequential, "does not begin with a linear layer"),
    "two activations": (lambda: nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.ReLU()), "a Tanh is followed"),
    "sizes": (lambda: nn.Sequential(nn.Linear(2, 2), nn.Linear(3, 2)), "puts out 2 numbers"),
    "types": (lambda: nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()), "several types"),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(2)), "module '0' is a LazyLinear"),
    "shared activation": (lambda: _with(_share), "module '4' is module '1' again"),
    "shared layer": (lambda: _with(lambda n: n.append(nn.Tanh()).append(n[2][0])), "again"),
    "tied": (lambda: _with(lambda n: setattr(n[3], "bias", n[0].bias)), "the bias of module '3'"),
    "views": (lambda: _with(_view), "the weight of module '2.0' is"),
    "frozen": (lambda: _with(lambda n: n[0].weight.requires_grad_(False)), "'0' is frozen"),
    "forward hook": (lambda: _with(lambda n: n[1].register_forward_hook(lambda *_: None)), "has hooks"),
    "pre-hook": (lambda: _with(lambda n: n.register_forward_pre_hook(lambda *_: None)), "has hooks"),
    "backward hook": (lambda: _with(lambda n: n[0].register_full_backward_hook(print)), "has hooks"),
    "tensor hook": (lambda: _with(lambda n: n[0].weight.register_hook(lambda g: g)), "'0' has hooks"),
    "buffer": (lambda: _with(lambda n: n[1].register_buffer("b", torch.ones(1))), "has buffers"),
    "parameter": (lambda: _with(lambda n: n.register_parameter("s", n[0].bias)), "has parameters"),
    "own forward": (lambda: _with(_own_forward), "module '1' has a forward of its own"),
    "weight norm": (lambda: _with(lambda n: parametrizations.weight_norm(n[0])), "is a ParametrizedLinear"),
    "pruned": (lambda: _with(lambda n: prune.l1_unstructured(n[0], "weight", 0.5)), "has hooks"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "reason"), NO_CHAINS.values(), ids=NO_CHAINS.keys())
def test_everything_else_is_no_chain(make: Callable[[], nn.Module], reason: str) -> None:
    network = make()
    why = why_no_chain(network)
    assert why is not None
    assert reason in why
    assert "\n" not in why
    assert chain_of(network) is None


def test_frozen_parameters_pass_where_they_are_allowed() -> None:
    network = _chain()
    network[0].weight.requires_grad_(False)
    layers = require_chain(network, "model")
    assert [layer.is_trained for layer in layers] == [False, True, True]
    with pytest.raises(ValueError, match=r"^model_a must be a chain .*, but module '1' is a PReLU$"):
        require_chain(nn.Sequential(nn.Linear(2, 2), nn.PReLU()), "model_a")


def test_a_hook_on_all_modules_makes_every_network_another() -> None:
    handle = torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert why_no_chain(_chain()) == "torch has a hook on all modules"
    finally:
        handle.remove()
    assert why_no_chain(_chain()) is None
