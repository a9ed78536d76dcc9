"""Models that only look layerwise fall back to the Jacobian; what has no kernel is refused."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlexp.measures.ntk import empirical_ntk


@pytest.fixture(autouse=True)
def _double() -> object:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randomize(model: nn.Module) -> nn.Module:
    source = generator(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source) * 0.5)
    return model


def brute_force(model: nn.Module, x: Tensor) -> Tensor:
    """Finite differences of the outputs: blind to how autograd and the layers work."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    columns = []
    with torch.no_grad():
        for parameter in parameters:
            flat = parameter.view(-1)
            for i in range(flat.numel()):
                kept = flat[i].clone()
                ends = []
                for shift in (1e-5, -1e-5):
                    flat[i] = kept + shift
                    ends.append(torch.cat([model(row[None]) for row in x]))
                flat[i] = kept
                columns.append((ends[0] - ends[1]) / 2e-5)
    jacobian = torch.stack(columns, dim=-1)
    kernel = torch.einsum("nap,mbp->nmab", jacobian, jacobian)
    return kernel[:, :, 0, 0] if kernel.shape[-1] == 1 else kernel


class Model(nn.Module):
    """Two linear layers with a forward pass of the test's own."""

    def __init__(self, forward: Callable[["Model", Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 2)
        self.register_buffer("calls", torch.zeros(()))
        self.body = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


class Masked(nn.Linear):
    weight_scale = bias_scale = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * torch.eye(len(self.weight), x.shape[1]), self.bias)


class Misdeclared(nn.Linear):
    weight_scale, bias_scale = 1.0, 2.0


class Unknown(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) ** 2


class TokenLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.layer(x.view(-1, 2, 2))).sum(1)


def reused_in_a_chain() -> nn.Module:
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.Tanh(), layer)


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    return model


def hooked() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    model[0].register_forward_hook(lambda _module, _inputs, output: output**3)
    return model


def unused_layer(model: Model, x: Tensor) -> Tensor:
    return model.second(x)


def used_elsewhere(model: Model, x: Tensor) -> Tensor:
    return model.second(torch.tanh(model.first(x)) @ model.first.weight.T)


def decayed(model: Model, x: Tensor) -> Tensor:
    return model.second(torch.tanh(model.first(x))) + (model.second.weight**2).sum()


def squared_bias(model: Model, x: Tensor) -> Tensor:
    return model.second(torch.tanh(model.first(x))) + model.second.bias**2


def twice(model: Model, x: Tensor) -> Tensor:
    return model.second(torch.tanh(model.first(x))) + model.second(x)


def inputs_changed_in_place(model: Model, x: Tensor) -> Tensor:
    hidden = model.first(x).detach() * 1
    out = model.second(hidden)
    hidden += 1
    return out


def branching(model: Model, x: Tensor) -> Tensor:
    hidden = model.first(x)
    if hidden.sum() > 0:
        hidden = hidden**2
    return model.second(hidden)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "a layer twice in a chain": reused_in_a_chain,
    "tied weights": tied,
    "a hook on a layer": hooked,
    "a masked layer that declares scales": lambda: nn.Sequential(Masked(4, 3), nn.Tanh(), nn.Linear(3, 2)),
    "a layer with wrong scales": lambda: nn.Sequential(Misdeclared(4, 3), nn.Tanh(), nn.Linear(3, 2)),
    "an unknown layer": lambda: nn.Sequential(Unknown(4, 3), nn.Tanh(), nn.Linear(3, 2)),
    "weight normalisation": lambda: nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), nn.Tanh(), nn.Linear(3, 1)
    ),
    "affine normalisation": lambda: nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 1)),
    "batch normalisation": lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).eval(),
    "a layer over tokens": TokenLinear,
    "a convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(6, 2)
    ),
    "an unused layer": lambda: Model(unused_layer),
    "a weight used elsewhere": lambda: Model(used_elsewhere),
    "a weight in a penalty": lambda: Model(decayed),
    "a bias used elsewhere": lambda: Model(squared_bias),
    "a layer called twice": lambda: Model(twice),
    "control flow on data": lambda: Model(branching),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_jacobian_serves_what_is_not_layerwise(name: str) -> None:
    model = randomize(MODELS[name]())
    x = torch.randn(4, 4, generator=generator(4))
    torch.testing.assert_close(empirical_ntk(model, x), brute_force(model, x), rtol=1e-6, atol=1e-7)
    if name != "control flow on data":
        with pytest.raises(ValueError, match="method='layerwise' does not apply"):
            empirical_ntk(model, x, method="layerwise")


def test_layerwise_refuses_layer_inputs_that_are_changed_in_place() -> None:
    # Autograd refuses them, too; the layer's recorded inputs would silently be the changed ones.
    with pytest.raises(ValueError, match="layer 'second' has inputs that are changed in place"):
        empirical_ntk(Model(inputs_changed_in_place), torch.ones(3, 4), method="layerwise")


def mixing_gradients(model: Model, x: Tensor) -> Tensor:
    other = model.first(x).roll(1, 0)
    return model.second(model.first.forward(x) + other - other.detach())


def test_layerwise_refuses_rows_that_mix_in_the_gradient_alone() -> None:
    model = Model(mixing_gradients)
    x = torch.randn(6, 4, generator=generator(4))
    with pytest.raises(ValueError, match="the outputs of one row depend on other rows"):
        empirical_ntk(model, x, method="layerwise")


def test_integer_inputs() -> None:
    model = randomize(nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2)))
    x = torch.tensor([[0, 1], [1, 4], [2, 2]])
    torch.testing.assert_close(empirical_ntk(model, x), brute_force(model, x), rtol=1e-6, atol=1e-7)
    model[0].requires_grad_(False)
    torch.testing.assert_close(empirical_ntk(model, x), brute_force(model, x), rtol=1e-6, atol=1e-7)


def centred(model: Model, x: Tensor) -> Tensor:
    hidden = model.first(x)
    return model.second(hidden - hidden.mean(0))


def centred_constant(model: Model, x: Tensor) -> Tensor:
    return model.second(model.first(x - x.mean(0)))


def paired(model: Model, x: Tensor) -> Tensor:
    hidden = model.first(x)
    even = len(x) // 2 * 2
    swapped = hidden[:even].view(-1, 2, 4).flip(1).reshape(even, 4)
    return model.second(hidden + torch.cat([swapped, hidden[even:]]))


def counting(model: Model, x: Tensor) -> Tensor:
    model.calls += 1
    return model.second(model.first(x))


def recounting(model: Model, x: Tensor) -> Tensor:
    model.calls = model.calls + 1
    return model.second(model.first(x))


def noisy(model: Model, x: Tensor) -> Tensor:
    return model.second(F.dropout(model.first(x), 0.5, training=True))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: Model(centred), "depend on the other rows"),
        (lambda: Model(centred_constant), "depend on the other rows"),
        (lambda: Model(paired), "depend on the other rows"),
        (lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False)), "other rows"),
        (lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), "training mode"),
        (lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)), "training mode"),
        (lambda: Model(counting), "changes buffer 'calls'"),
        (lambda: Model(recounting), "changes buffer 'calls'"),
        (lambda: nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (2, 2))), r"outputs are \(8, 2, 2\)"),
        (lambda: nn.Sequential(nn.Linear(4, 1), nn.Flatten(0), nn.Softmax(dim=0)), "other rows"),
        (lambda: nn.Linear(4, 1).requires_grad_(False), "no trainable parameters"),
    ],
)
@pytest.mark.parametrize("method", ["auto", "jacobian"])
def test_refuses_what_has_no_kernel(model: Callable[[], nn.Module], message: str, method: str) -> None:
    built = model()
    before = {name: value.clone() for name, value in built.state_dict().items()}
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match=message):
        empirical_ntk(built, torch.randn(9, 4, generator=generator(4)), method=method)
    assert all(torch.equal(value, before[name]) for name, value in built.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("method", ["auto", "jacobian"])
def test_refuses_hidden_randomness_and_restores_the_generator(method: str) -> None:
    model = Model(noisy)
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="draws from torch's generator"):
        empirical_ntk(model, torch.randn(9, 4, generator=generator(4)), method=method)
    assert torch.equal(torch.get_rng_state(), state)


def test_refuses_bad_arguments() -> None:
    model, x = nn.Linear(4, 1), torch.zeros(3, 4)
    with pytest.raises(ValueError, match="method='exact' is unknown"):
        empirical_ntk(model, x, method="exact")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="chunk_rows=0"):
        empirical_ntk(model, x, chunk_rows=0)
    with pytest.raises(ValueError, match="at least one row"):
        empirical_ntk(model, x[:0])
    with pytest.raises(ValueError, match=r"x2 is torch.float32 on cpu, but x1 torch.float64"):
        empirical_ntk(model, x, x.float())
    with pytest.raises(ValueError, match="x2 has shape"):
        empirical_ntk(model, x, torch.zeros(3, 5))


@pytest.mark.parametrize("method", ["layerwise", "jacobian"])
def test_refuses_a_kernel_that_does_not_fit_with_an_estimate(method: str) -> None:
    x = torch.zeros(1, 4).expand(2_000_000, 4)
    with pytest.raises(MemoryError, match=r"the 2000000 x 2000000 kernel .* needs about 29\d{3}\.\d GiB"):
        empirical_ntk(nn.Linear(4, 1), x, method=method)
