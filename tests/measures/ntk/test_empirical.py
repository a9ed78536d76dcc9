"""The empirical NTK against gradients taken one output at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import jacrev
from torch.utils._python_dispatch import TorchDispatchMode

from dlexp.measures.functional import functional_loss, mean_squared_error, parameter_vector
from dlexp.measures.ntk import empirical_ntk
from dlexp.models.layers import ScaledLinear
from dlexp.models.mlp import MLP


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs(rows: int, columns: int = 4, seed: int = 1) -> Tensor:
    return torch.randn(rows, columns, dtype=torch.float64, generator=generator(seed))


def randomize(model: nn.Module, seed: int = 2) -> nn.Module:
    source = generator(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, dtype=torch.float64, generator=source) * 0.5)
    return model


def brute_force(model: nn.Module, x1: Tensor, x2: Tensor | None = None) -> Tensor:
    """One backward pass for each output of each row alone, then all pairs."""
    parameters = [p for p in model.parameters() if p.requires_grad]

    def rows(x: Tensor) -> list[list[Tensor]]:
        table = []
        for n in range(len(x)):
            gradients = [
                torch.cat(
                    [
                        g.flatten()
                        for g in torch.autograd.grad(
                            output, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
                        )
                    ]
                )
                for output in model(x[n : n + 1]).flatten()
            ]
            table.append(gradients)
        return table

    first = rows(x1)
    second = first if x2 is None else rows(x2)
    kernel = torch.tensor([[[[float(a @ b) for b in two] for a in one] for two in second] for one in first])
    kernel = kernel.double() if kernel.dtype != torch.float64 else kernel
    return kernel[:, :, 0, 0] if kernel.shape[-1] == 1 else kernel


@pytest.fixture(autouse=True)
def _double() -> object:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


MODELS = {
    "ntk": lambda k: MLP(
        input_dim=4, width=7, depth=2, output_dim=k, activation="erf", parametrization="ntk", bias_std=0.3,
        generator=generator(),
    ),
    "mup": lambda k: MLP(
        input_dim=4, width=[5, 6], depth=2, output_dim=k, activation="gelu", parametrization="mup",
        generator=generator(),
    ),
    "linear": lambda k: MLP(input_dim=4, width=5, depth=0, output_dim=k, generator=generator()),
    "no_bias": lambda k: MLP(input_dim=4, width=5, depth=3, output_dim=k, bias=False, generator=generator()),
    "in_place": lambda k: nn.Sequential(
        nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Sequential(nn.Linear(6, 5), nn.Tanh()), nn.Linear(5, k)
    ),
}  # fmt: skip


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", ["layerwise", "jacobian"])
def test_both_ways_equal_one_gradient_at_a_time(name: str, outputs: int, method: str) -> None:
    model = MODELS[name](outputs)
    if name == "in_place":
        randomize(model)
    x1, x2 = inputs(5), inputs(3, seed=5)
    for other in (None, x2):
        kernel = empirical_ntk(model, x1, other, method=method)
        expected = brute_force(model, x1, other)
        assert kernel.shape == expected.shape
        torch.testing.assert_close(kernel, expected, rtol=1e-10, atol=1e-12)
        for rows in (1, 2, 4):
            chunked = empirical_ntk(model, x1, other, method=method, chunk_rows=rows)
            torch.testing.assert_close(chunked, expected, rtol=1e-10, atol=1e-12)


def test_linear_regression_has_the_gram_matrix() -> None:
    x = inputs(6)
    expected = 0.25 * x @ x.T + 9
    layer = ScaledLinear(4, 1, weight_scale=0.5, bias_scale=3.0)
    torch.testing.assert_close(empirical_ntk(layer, x), expected)


def test_halved_symmetric_blocks_equal_the_cross_kernel() -> None:
    model, x = MODELS["ntk"](3), inputs(200)
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


class Skip(nn.Module):
    """Not a chain, but linear layers used once and row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.unused = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(4, 1)
        self.norm = nn.LayerNorm(4, elementwise_affine=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.norm(x + torch.tanh(self.first(2 * x)))) * x[:, :2]


def test_other_row_by_row_modules_of_linear_layers_go_layerwise() -> None:
    class Used(Skip):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([super().forward(x), self.unused(x)], dim=1)

    model, x = randomize(Used()), inputs(4)
    torch.testing.assert_close(empirical_ntk(model, x, method="layerwise"), brute_force(model, x))


@pytest.mark.parametrize("method", ["layerwise", "jacobian"])
def test_one_dimensional_outputs(method: str) -> None:
    model, x = randomize(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1), nn.Flatten(0))), inputs(4)
    torch.testing.assert_close(empirical_ntk(model, x, method=method), brute_force(model, x))


@pytest.mark.parametrize("method", ["auto", "jacobian"])
def test_works_under_no_grad_and_inference_mode(method: str) -> None:
    model, x = MODELS["ntk"](2), inputs(4)
    expected = brute_force(model, x)
    with torch.no_grad():
        torch.testing.assert_close(empirical_ntk(model, x, method=method), expected)
    with torch.inference_mode():
        kernel = empirical_ntk(model, x * 1.0, (x * 1.0)[:2], method=method)
        torch.testing.assert_close(kernel, expected[:, :2])
    assert not kernel.requires_grad


@pytest.mark.parametrize("method", ["layerwise", "jacobian"])
def test_float32(method: str) -> None:
    model, x = MODELS["ntk"](2), inputs(5)
    expected = brute_force(model, x)
    kernel = empirical_ntk(model.float(), x.float(), method=method)
    assert kernel.dtype == torch.float32
    torch.testing.assert_close(kernel.double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ["layerwise", "jacobian"])
def test_leaves_the_model_and_the_random_state_as_they_were(method: str) -> None:
    model = nn.Sequential(MODELS["ntk"](3), nn.BatchNorm1d(3, affine=False).eval(), nn.Dropout(0.0))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    x = inputs(5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    empirical_ntk(model, x, method=method)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(p.grad, torch.ones_like(p)) and p.requires_grad for p in model.parameters())
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)
    assert not x.requires_grad


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


@settings(max_examples=20, deadline=None)
@given(
    width=st.integers(1, 9),
    depth=st.integers(0, 3),
    outputs=st.integers(1, 3),
    rows=st.integers(1, 6),
    activation=st.sampled_from(["relu", "tanh", "sigmoid", "erf"]),
    seed=st.integers(0, 100),
)
def test_the_kernel_is_symmetric_and_positive_semidefinite(
    width: int, depth: int, outputs: int, rows: int, activation: str, seed: int
) -> None:
    model = MLP(
        input_dim=4,
        width=width,
        depth=depth,
        output_dim=outputs,
        activation=activation,
        generator=generator(seed),
    )
    kernel = empirical_ntk(model, inputs(rows, seed=seed))
    matrix = kernel.reshape(rows, rows, outputs, outputs).permute(0, 2, 1, 3).reshape(rows * outputs, -1)
    assert torch.equal(matrix, matrix.T)
    values = torch.linalg.eigvalsh(matrix)
    assert values[0] >= -1e-12 * values[-1]


@pytest.mark.parametrize("outputs", [1, 2])
def test_eigenvalues_are_those_of_the_loss_hessian_at_zero_residual(outputs: int) -> None:
    # Where the residual is zero the Hessian of the mean squared error is its Gauss-Newton part 2/(N K) J^T J.
    model = MLP(input_dim=4, width=5, depth=2, output_dim=outputs, activation="tanh", generator=generator())
    x = inputs(4)
    loss = functional_loss(model, mean_squared_error, x, model(x).detach())
    hessian = jacrev(jacrev(loss))(parameter_vector(model))
    kernel = empirical_ntk(model, x)
    matrix = kernel.reshape(4, 4, outputs, outputs).permute(0, 2, 1, 3).reshape(4 * outputs, -1)
    top = torch.linalg.eigvalsh(hessian)[-4 * outputs :]
    torch.testing.assert_close(top, 2 / (4 * outputs) * torch.linalg.eigvalsh(matrix), rtol=1e-9, atol=1e-12)


def test_agrees_with_nngeometry() -> None:
    gram = pytest.importorskip("nngeometry.gram")
    from nngeometry.layercollection import LayerCollection
    from torch.utils.data import DataLoader, TensorDataset

    model = randomize(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)))
    x = inputs(5)
    matrix = gram.GramMatrix(
        model,
        DataLoader(TensorDataset(x), batch_size=5),
        lambda *batch: model(batch[0]),
        layer_collection=LayerCollection.from_model(model),
    )
    torch.testing.assert_close(empirical_ntk(model, x), matrix.to_torch().permute(1, 3, 0, 2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", ["layerwise", "jacobian"])
def test_cuda(method: str) -> None:
    model, x = MODELS["ntk"](2), inputs(5)
    expected = brute_force(model, x)
    kernel = empirical_ntk(model.cuda(), x.cuda(), method=method)
    assert kernel.is_cuda
    torch.testing.assert_close(kernel.cpu(), expected)
