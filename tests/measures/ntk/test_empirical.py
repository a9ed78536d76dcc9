"""The empirical NTK against gradients taken one output at a time; any other module is the zoo's."""

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from dlexp.measures.functional import parameter_vector
from dlexp.measures.ntk import empirical_ntk
from dlexp.models.layers import ScaledLinear
from dlexp.models.mlp import MLP

BOTH = pytest.mark.parametrize("method", ["layerwise", "jacobian"])


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs(rows: int, seed: int = 1) -> Tensor:
    return torch.randn(rows, 4, generator=generator(seed))


def randomize(model: nn.Module) -> nn.Module:
    source = generator(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source) * 0.5)
    return model


def brute_force(model: nn.Module, x1: Tensor, x2: Tensor | None = None) -> Tensor:
    """One backward pass for each output of each row alone, then all pairs."""
    parameters = [p for p in model.parameters() if p.requires_grad]

    def gradient(output: Tensor) -> Tensor:
        found = torch.autograd.grad(output, parameters, retain_graph=True, materialize_grads=True)
        return torch.cat([part.flatten() for part in found])

    first, second = (
        torch.stack([torch.stack([gradient(output) for output in model(row[None]).flatten()]) for row in x])
        for x in (x1, x1 if x2 is None else x2)
    )
    kernel = torch.einsum("ikp,jlp->ijkl", first, second)
    return kernel[:, :, 0, 0] if kernel.shape[-1] == 1 else kernel


def ntk_mlp(outputs: int) -> MLP:
    settings = {"activation": "erf", "parametrization": "ntk", "bias_std": 0.3, "generator": generator()}
    return MLP(input_dim=4, width=7, depth=2, output_dim=outputs, **settings)  # type: ignore[arg-type]


MODELS: dict[str, Callable[[int], nn.Module]] = {
    "ntk": ntk_mlp,
    "linear": lambda k: MLP(input_dim=4, width=5, depth=0, output_dim=k, generator=generator()),
    "no bias": lambda k: MLP(input_dim=4, width=5, depth=3, output_dim=k, bias=False, generator=generator()),
    "in place": lambda k: randomize(
        nn.Sequential(
            nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Sequential(nn.Linear(6, 5), nn.Tanh()), nn.Linear(5, k)
        )
    ),
}


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", MODELS)
@BOTH
def test_both_ways_equal_one_gradient_at_a_time(name: str, outputs: int, method: str) -> None:
    model, x1, x2 = MODELS[name](outputs), inputs(5), inputs(3, seed=5)
    for other in (None, x2):
        expected = brute_force(model, x1, other)
        for rows in (None, 1, 2, 4):
            kernel = empirical_ntk(model, x1, other, method=method, chunk_rows=rows)
            assert kernel.shape == expected.shape
            torch.testing.assert_close(kernel, expected, rtol=1e-10, atol=1e-12)


def test_linear_regression_has_the_gram_matrix() -> None:
    x = inputs(6)
    layer = ScaledLinear(4, 1, weight_scale=0.5, bias_scale=3.0)
    torch.testing.assert_close(empirical_ntk(layer, x), 0.25 * x @ x.T + 9)


def test_halved_symmetric_blocks_equal_the_cross_kernel() -> None:
    model, x = ntk_mlp(3), inputs(200)
    kernel = empirical_ntk(model, x, method="layerwise")
    torch.testing.assert_close(kernel, empirical_ntk(model, x, x.clone()), rtol=1e-12, atol=1e-12)
    assert torch.equal(kernel, kernel.permute(1, 0, 3, 2))


def test_frozen_parameters_do_not_count() -> None:
    model = randomize(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)))
    model[0].weight.requires_grad_(False)
    model[2].requires_grad_(False)
    model[4].bias.requires_grad_(False)
    x = inputs(4)
    torch.testing.assert_close(empirical_ntk(model, x, method="layerwise"), brute_force(model, x))


@BOTH
def test_one_dimensional_outputs(method: str) -> None:
    model, x = randomize(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1), nn.Flatten(0))), inputs(4)
    torch.testing.assert_close(empirical_ntk(model, x, method=method), brute_force(model, x))


@BOTH
def test_works_under_no_grad_and_inference_mode_and_in_float32(method: str) -> None:
    model, x = ntk_mlp(2), inputs(4)
    expected = brute_force(model, x)
    with torch.no_grad():
        torch.testing.assert_close(empirical_ntk(model, x, method=method), expected)
    with torch.inference_mode():
        kernel = empirical_ntk(model, x * 1.0, (x * 1.0)[:2], method=method)
        torch.testing.assert_close(kernel, expected[:, :2])
    assert not kernel.requires_grad
    single = empirical_ntk(model.float(), x.float(), method=method)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), expected, rtol=1e-4, atol=1e-4)


def test_layerwise_never_holds_a_jacobian() -> None:
    class Largest(TorchDispatchMode):
        entries = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = func(*args, **(kwargs or {}))
            if isinstance(result, Tensor) and result.untyped_storage().nbytes():
                self.entries = max(self.entries, result.untyped_storage().nbytes() // result.element_size())
            return result

    model = MLP(input_dim=4, width=128, depth=2, activation="tanh", generator=generator())
    x = inputs(64)
    with Largest() as largest:
        empirical_ntk(model, x)
    jacobian = 64 * parameter_vector(model).numel()
    assert largest.entries < jacobian / 50
    with Largest() as largest:
        empirical_ntk(model, x, method="jacobian")
    assert largest.entries > jacobian / 2, "the meter must see a Jacobian where there is one"


class Model(nn.Module):
    """Two linear layers with a forward pass of the test's own."""

    def __init__(self, forward: Callable[["Model", Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 2)
        self.body = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


class Unknown(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) ** 2


def hidden(model: Model, x: Tensor) -> Tensor:
    return torch.tanh(model.first(x))


def skip(model: Model, x: Tensor) -> Tensor:
    return model.second(F.layer_norm(x + hidden(model, 2 * x), (4,))) * x[:, :2]


def concatenated(model: Model, x: Tensor) -> Tensor:
    return torch.cat([hidden(model, x), model.second(x)], dim=1)


@pytest.mark.parametrize("forward", [skip, concatenated])
def test_other_row_by_row_modules_of_linear_layers_go_layerwise(forward: Callable[..., Tensor]) -> None:
    model, x = randomize(Model(forward)), inputs(9)
    torch.testing.assert_close(empirical_ntk(model, x, method="layerwise"), brute_force(model, x))


def mixing_gradients(model: Model, x: Tensor) -> Tensor:
    # Rows influence each other in the gradient alone.
    other = model.first(x).roll(1, 0)
    return model.second(model.first.forward(x) + other - other.detach())


NOT_LAYERWISE: dict[str, Callable[[], nn.Module]] = {
    "an unknown layer": lambda: nn.Sequential(Unknown(4, 3), nn.Tanh(), nn.Linear(3, 2)),
    "an unused layer": lambda: Model(lambda model, x: model.second(x)),
    "a layer over tokens": lambda: Model(lambda model, x: model.second(x.view(-1, 1, 4)).squeeze(1)),
    "a layer called twice": lambda: Model(lambda model, x: model.second(hidden(model, x)) + model.second(x)),
    "a weight used elsewhere": lambda: Model(
        lambda model, x: model.second(hidden(model, x) @ model.first.weight.T)
    ),
    "a weight in a penalty": lambda: Model(
        lambda model, x: model.second(hidden(model, x)) + model.second.weight.square().sum()
    ),
    "a bias used elsewhere": lambda: Model(
        lambda model, x: model.second(hidden(model, x)) + model.second.bias**2
    ),
}


@pytest.mark.parametrize("name", NOT_LAYERWISE)
def test_the_jacobian_serves_what_is_not_layerwise(name: str) -> None:
    model, x = randomize(NOT_LAYERWISE[name]()), inputs(4)
    torch.testing.assert_close(empirical_ntk(model, x), brute_force(model, x))
    with pytest.raises(ValueError, match="method='layerwise' does not apply"):
        empirical_ntk(model, x, method="layerwise")


def changed_in_place(model: Model, x: Tensor) -> Tensor:
    seen = model.first(x).detach() * 1
    out = model.second(seen)
    seen += 1
    return out


@pytest.mark.parametrize("forward", [mixing_gradients, changed_in_place])
def test_what_the_factors_would_get_wrong_is_refused(forward: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match=r"does not apply|cannot be differentiated"):
        empirical_ntk(randomize(Model(forward)), inputs(6), method="layerwise")


def paired(model: Model, x: Tensor) -> Tensor:
    first = model.first(x)
    even = len(x) // 2 * 2
    swapped = first[:even].view(-1, 2, 4).flip(1).reshape(even, 4)
    return model.second(first + torch.cat([swapped, first[even:]]))


@pytest.mark.parametrize(
    "model",
    [
        lambda: Model(lambda model, x: model.second(model.first(x - x.mean(0)))),
        lambda: Model(paired),
        lambda: nn.Sequential(nn.Linear(4, 1), nn.Flatten(0), nn.Softmax(dim=0)),
    ],
)
@pytest.mark.parametrize("method", ["auto", "jacobian"])
def test_rows_that_see_each_other_have_no_kernel(model: Callable[[], nn.Module], method: str) -> None:
    with pytest.raises(ValueError, match="for one row depend on the other rows"):
        empirical_ntk(model(), inputs(9), method=method)
