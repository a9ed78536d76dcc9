"""Batched losses against a plain loop that loads each parameter vector into a copy of the model."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlexp.measures.points import batched_losses, combination_losses, linear_combinations
from dlexp.measures.functional import mean_squared_error, parameter_vector
from dlexp.models.activations import Erf
from dlexp.models.mlp import MLP

D, N = 4, 17


class Residual(nn.Module):
    """No chain: two paths meet."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(D, D), nn.Linear(D, 2)
        self.norm = nn.BatchNorm1d(D)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.norm(x + torch.tanh(self.first(x))))


class DoublingSequential(nn.Sequential):
    """Looks like a chain but has a forward of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class LastFeatureOnly(nn.Module):
    """Without parameters, but not elementwise."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=-1, keepdim=True)


def tied() -> nn.Module:
    layer = nn.Linear(D, D)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(D, 2))


def with_hook() -> nn.Module:
    model = nn.Sequential(nn.Linear(D, 5), nn.ReLU(), nn.Linear(5, 2))
    model[0].register_forward_hook(lambda module, inputs, output: output + 1)
    return model


def frozen(*names: str) -> nn.Module:
    model = MLP(
        input_dim=D, width=5, depth=2, output_dim=2, parametrization="ntk", bias_std=0.3, random_bias=True
    )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in names)
    return model


MODELS = {
    "relu": lambda: MLP(input_dim=D, width=6, depth=1, output_dim=2),
    "deep_tanh": lambda: MLP(input_dim=D, width=[6, 3, 5], depth=3, output_dim=2, activation="tanh"),
    "no_bias": lambda: MLP(input_dim=D, width=6, depth=2, output_dim=2, bias=False, activation="gelu"),
    "ntk_scales": lambda: MLP(
        input_dim=D, width=6, depth=2, output_dim=2, parametrization="ntk", bias_std=0.3, random_bias=True
    ),
    "mup": lambda: MLP(input_dim=D, width=6, depth=2, output_dim=2, parametrization="mup", base_width=3),
    "erf": lambda: nn.Sequential(nn.Linear(D, 5), Erf(), nn.Sequential(nn.Linear(5, 2), nn.Sigmoid())),
    "linear": lambda: nn.Linear(D, 2),
    "activation_first_in_place": lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Tanh(), nn.Linear(D, 2)),
    "frozen_front": lambda: frozen("hidden_1.weight", "hidden_1.bias"),
    "frozen_first_bias": lambda: frozen("hidden_1.bias"),
    "frozen_first_weight": lambda: frozen("hidden_1.weight"),
    "frozen_middle": lambda: frozen("hidden_2.weight", "hidden_2.bias"),
    "tied": tied,
    "residual": Residual,
    "softmax": lambda: nn.Sequential(nn.Linear(D, 5), nn.Softmax(dim=-1), nn.Linear(5, 2)),
    "centred": lambda: nn.Sequential(nn.Linear(D, 5), LastFeatureOnly(), nn.Linear(5, 2)),
    "prelu": lambda: nn.Sequential(nn.Linear(D, 5), nn.PReLU(), nn.Linear(5, 2)),
    "own_forward": lambda: DoublingSequential(nn.Linear(D, 5), nn.ReLU(), nn.Linear(5, 2)),
    "hook": with_hook,
}


def loop(model: nn.Module, loss_fn, x: Tensor, y: Tensor, vectors: Tensor) -> Tensor:
    model, losses = copy.deepcopy(model), []
    with torch.no_grad():
        for vector in vectors:
            start = 0
            for parameter in (p for p in model.parameters() if p.requires_grad):
                parameter.copy_(vector[start : start + parameter.numel()].view_as(parameter))
                start += parameter.numel()
            losses.append(loss_fn(model(x.clone()), y))
    return torch.stack(losses)


def setting(name: str, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    model = MODELS[name]().to(dtype).eval()
    draw = [torch.randn(*shape, generator=generator, dtype=dtype) for shape in ((N, D), (N, 2))]
    p = parameter_vector(model)
    noise = torch.randn(7, len(p), generator=generator, dtype=dtype)
    return model, *draw, p + noise


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("chunk_size", [None, 1, 3])
def test_equals_a_loop_over_the_networks(name: str, chunk_size: int | None) -> None:
    model, x, y, vectors = setting(name)
    before, x_before = copy.deepcopy(model.state_dict()), x.clone()
    expected = loop(model, mean_squared_error, x, y, vectors)
    got = batched_losses(model, mean_squared_error, x, y, vectors, chunk_size=chunk_size)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    assert not got.requires_grad
    assert torch.equal(x, x_before)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_combinations_equal_a_loop(name: str) -> None:
    model, x, y, vectors = setting(name)
    # Rows that do not sum to 1 tell apart what is linear from what is affine in the parameters.
    coefficients = torch.randn(9, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = loop(model, mean_squared_error, x, y, coefficients @ vectors[:3])
    for chunk_size in (None, 2):
        got = combination_losses(
            model, mean_squared_error, x, y, coefficients, vectors[:3], chunk_size=chunk_size
        )
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_many_blocks_are_put_together_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlexp.measures.points._BLOCK_BYTES", {"cpu": 900})
    for name in ("relu", "residual"):
        model, x, y, vectors = setting(name)
        expected = loop(model, mean_squared_error, x, y, vectors)
        torch.testing.assert_close(batched_losses(model, mean_squared_error, x, y, vectors), expected)
        eye = torch.eye(7, dtype=torch.float64)
        torch.testing.assert_close(
            combination_losses(model, mean_squared_error, x, y, eye, vectors), expected
        )


@pytest.mark.parametrize("name", ["relu", "residual"])
def test_other_losses_and_targets(name: str) -> None:
    model, x, _, vectors = setting(name)
    labels = torch.arange(N) % 2
    torch.testing.assert_close(
        batched_losses(model, F.cross_entropy, x, labels, vectors),
        loop(model, F.cross_entropy, x, labels, vectors),
    )


def test_inputs_with_more_dimensions_use_the_general_path() -> None:
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4, 1)).double()
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(5, *s, generator=generator, dtype=torch.float64) for s in ((1, 4), (1,)))
    vectors = torch.randn(3, len(parameter_vector(model)), generator=generator, dtype=torch.float64)
    expected = loop(model, mean_squared_error, x, y, vectors)
    torch.testing.assert_close(batched_losses(model, mean_squared_error, x, y, vectors), expected)


def test_float32() -> None:
    model, x, y, vectors = setting("deep_tanh", torch.float32)
    got = batched_losses(model, mean_squared_error, x, y, vectors)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, loop(model, mean_squared_error, x, y, vectors), rtol=1e-5, atol=1e-6)


def test_one_diverged_network_stays_alone() -> None:
    model, x, y, vectors = setting("relu")
    vectors[2] = torch.nan
    finite = batched_losses(model, mean_squared_error, x, y, vectors).isfinite()
    assert finite.tolist() == [True, True, False, True, True, True, True]


def test_global_generator_is_left_alone() -> None:
    for name in ("erf", "centred", "residual"):
        model, x, y, vectors = setting(name)
        state = torch.get_rng_state()
        batched_losses(model, mean_squared_error, x, y, vectors)
        assert torch.equal(torch.get_rng_state(), state)


def test_no_networks_give_no_losses() -> None:
    model, x, y, vectors = setting("relu")
    assert batched_losses(model, mean_squared_error, x, y, vectors[:0]).shape == (0,)


def test_unit_coefficients_give_the_point_bit_for_bit() -> None:
    basis = torch.randn(3, 100, generator=torch.Generator().manual_seed(0))
    assert torch.equal(linear_combinations(torch.eye(3), basis), basis)


def test_refusals() -> None:
    model, x, y, vectors = setting("relu")
    with pytest.raises(ValueError, match=r"vectors must have shape \(B, 44\)"):
        batched_losses(model, mean_squared_error, x, y, vectors[:, :-1])
    with pytest.raises(ValueError, match=r"vectors must be torch.float64 on cpu"):
        batched_losses(model, mean_squared_error, x, y, vectors.float())
    with pytest.raises(ValueError, match="chunk_size=0 must be at least 1"):
        batched_losses(model, mean_squared_error, x, y, vectors, chunk_size=0)
    with pytest.raises(ValueError, match=r"coefficients must have shape \(B, 7\)"):
        combination_losses(model, mean_squared_error, x, y, torch.ones(2, 3), vectors)
    dropout = nn.Sequential(nn.Linear(D, 2), nn.Dropout(0.5))
    with pytest.raises(ValueError, match="is in training mode"):
        batched_losses(dropout, mean_squared_error, x.float(), y.float(), torch.zeros(1, 10))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["deep_tanh", "erf", "residual", "frozen_front"])
def test_cuda_equals_the_cpu(name: str) -> None:
    model, x, y, vectors = setting(name)
    expected = batched_losses(model, mean_squared_error, x, y, vectors)
    got = batched_losses(model.cuda(), mean_squared_error, x.cuda(), y.cuda(), vectors.cuda())
    torch.testing.assert_close(got.cpu(), expected, rtol=1e-10, atol=1e-12)
