"""What measures refuse: each bad argument in one sentence that names it and what is allowed."""

import math
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlexp.measures import connectivity, geometry, hessian, landscape, ntk, pruning, risk, sharpness
from dlexp.measures.functional import mean_squared_error
from dlexp.measures.hessian.random import random_vectors
from dlexp.measures.hessian.trace import hutchinson_trace
from dlexp.measures.linear_pieces import linear_pieces
from dlexp.measures.points import combination_losses
from dlexp.models.constructed import tent_map
from dlexp.models.mlp import MLP

X, Y = torch.ones(6, 3), torch.ones(6, 1)
LABELS = torch.arange(6) % 2
INF, NAN = torch.tensor(math.inf), torch.tensor(math.nan)


def relu(width: int = 4, **settings: Any) -> MLP:
    settings = {"input_dim": 3, "depth": 1, "generator": torch.Generator().manual_seed(0), **settings}
    return MLP(width=width, **settings)


def broken(value: Tensor = NAN, **settings: Any) -> MLP:
    model = relu(**settings)
    with torch.no_grad():
        model.readout.weight[0, 0] = value
    return model


def frozen(network: nn.Module) -> nn.Module:
    return network.requires_grad_(False)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.activation, self.unused = nn.Linear(3, 3), nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.linear(self.activation(x)))


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def norm(mean: float) -> nn.Module:
    layer = nn.BatchNorm1d(3)
    layer.running_mean.fill_(mean)  # type: ignore[union-attr, operator]
    return layer


def of_loss(measure: Callable[..., Any], *rows: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Return rows (settings, message) of a measure of a loss as calls."""
    return [
        (lambda s=settings: measure(relu(), mean_squared_error, X, Y, **s), message)
        for settings, message in rows
    ]


def of(measure: Callable[..., Any], *rows: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Return rows (arguments..., message) of a measure as calls; a last dict holds those by name."""
    return [(lambda r=row: _call(measure, r[:-1]), row[-1]) for row in rows]


def _call(measure: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    named = arguments[-1] if arguments and type(arguments[-1]) is dict else {}
    measure(*(arguments[:-1] if named else arguments), **named)


P = 21  # parameters of relu()
SCALES = {"weight_std": 1, "bias_std": 0, "readout_weight_std": 1, "readout_bias_std": 0}
ENDS = torch.zeros(2, P)
DIRECTION = torch.ones(P)
GENERATOR = {"generator": torch.Generator()}
BOTH = {"radius": 0.1}
KERNEL, OUT = torch.eye(2), torch.ones(2, 1)
MASKS = pruning.magnitude_masks(relu(), 0.5)

ROWS = [
    # Curvature
    *of_loss(
        hessian.hvp,
        ({"v": torch.zeros(5)}, r"v has shape \(5,\); allowed: \(21,\) or \(B, 21\)"),
        ({"v": torch.zeros(P).double()}, r"v is torch.float64 on cpu; allowed: torch.float32"),
        ({"v": torch.zeros(P), "chunk_size": 0}, "chunk_size=0 is not allowed; allowed: 1 or more"),
    ),
    *of_loss(
        hessian.top_eigenvalues,
        ({"k": 0}, "k=0 eigenvalues of 21 parameters; allowed: 1 to 21"),
        ({"k": 11, "end": "both"}, "k=11 .* allowed: 1 to 10 for end='both'"),
        ({"end": "top"}, "end='top' is not allowed; allowed: largest, smallest, both"),
        ({"start": torch.zeros(2)}, r"start has shape \(2,\)"),
    ),
    *of_loss(
        hessian.spectral_density, ({"n_steps": 0}, "n_steps=0"), ({"kernel_width": 0}, "kernel_width=0 is")
    ),
    *of_loss(
        hessian.find_critical_point,
        *(({name: value}, f"{name}={value} is") for name, value in (("tolerance", 0), ("weight_decay", -1))),
        *(({name: 0}, f"{name}=0 is") for name in ("max_steps", "chunk_size")),
        ({"start": torch.zeros(3)}, r"start has shape \(3,\)"),
    ),
    *of_loss(
        hessian.classify_critical_point,
        ({"gradient_tolerance": -1}, "gradient_tolerance=-1"),
        ({"weight_decay": -1}, "weight_decay=-1 is"),
        ({"relative_tolerance": -1}, "relative_tolerance=-1 is not allowed; allowed: 0 or more"),
    ),
    *of(
        hutchinson_trace,
        (lambda v: v, torch.zeros(3), {"n_probes": 1}, "n_probes=1"),
        (lambda v: v, torch.zeros(3), {"distribution": "uniform"}, "distribution='uniform' is"),
    ),
    *of(random_vectors, (0, DIRECTION, "count=0")),
    *of(
        hessian.goe_positive_definite_share,
        (0, 10, GENERATOR, "dimension=0"),
        (2, 0, GENERATOR, "samples=0"),
    ),
    # Sharpness
    *chain.from_iterable(
        of_loss(
            measure,
            ({"radius": 0}, "radius=0 is not allowed; allowed: a number above 0"),
            ({**BOTH, "normalization": "filter"}, "normalization='filter' is"),
        )
        for measure in (sharpness.worst_case, sharpness.one_step, sharpness.average)
    ),
    *of_loss(sharpness.worst_case, ({**BOTH, "n_starts": 0}, "n_starts=0")),
    *of_loss(sharpness.average, ({**BOTH, "n_samples": 1}, "n_samples=1")),
    *of(sharpness.relative_to_edge, (1.0, 0, "learning_rate=0"), (1.0, 0.1, {"momentum": 1}, "momentum=1")),
    # Landscape and connectivity
    *of_loss(
        landscape.loss_line,
        ({"direction": DIRECTION, "points": 50}, "points=50 must be odd and at least 3"),
        ({"direction": DIRECTION, "extent": 0.0}, "extent=0.0"),
        ({"direction": DIRECTION[1:]}, r"direction must have shape \(21,\)"),
        ({"direction": DIRECTION, "origin": DIRECTION[1:]}, r"origin must have shape \(21,\)"),
    ),
    *of_loss(landscape.loss_plane, ({"directions": DIRECTION[None]}, r"must have shape \(2, 21\)")),
    *of_loss(
        combination_losses,
        ({"coefficients": torch.eye(2), "basis": ENDS[:, 1:]}, r"basis must have shape \(K, 21\)"),
        ({"coefficients": torch.eye(2), "basis": ENDS.double()}, "basis must be torch.float32 on cpu"),
        ({"coefficients": torch.eye(3), "basis": ENDS}, r"coefficients must have shape \(B, 2\)"),
        ({"coefficients": torch.eye(2), "basis": ENDS, "chunk_size": 0}, "chunk_size=0"),
    ),
    *of_loss(
        connectivity.path_losses, ({"path": ENDS, "points": 1}, "points=1"), ({"path": ENDS[:1]}, "two knots")
    ),
    *of_loss(
        connectivity.fit_bezier,
        *(({"ends": ENDS, **GENERATOR, name: 0}, f"{name}=0") for name in ("steps", "control_points")),
        ({"ends": ENDS, **GENERATOR, "batch_size": 7}, "batch_size=7 must be between 1 and .* 6"),
        ({"ends": ENDS, **GENERATOR, "learning_rate": 0.0}, "learning_rate=0.0"),
        ({"ends": ENDS[:1], **GENERATOR}, r"ends must have shape \(2, 21\)"),
    ),
    *of(
        connectivity.barrier, (torch.ones(3), "sup", "definition='sup' is"), (torch.ones(1), "T >= 2")
    ),
    *of(
        connectivity.end_points,
        (relu(), relu(bias=False), "they differ in 'hidden_1.bias'"),
        (nn.Sequential(relu(), frozen(relu())), nn.Sequential(relu(), relu()), "same trainable parameters"),
        (norm(0.0), norm(1.0), "buffers; they differ in 'running_mean'"),
    ),
    *of(
        connectivity.match_permutation,
        (relu(), relu(8), "same layers, sizes, scales and activations"),
        (relu(), relu(activation="tanh"), "same layers, sizes, scales and activations"),
        (nn.Softmax(1), relu(), "model_a must be a chain"),
        (broken(INF), relu(), "weights that are not finite"),
    ),
    *of(
        landscape.random_direction,
        (relu(), "filters", GENERATOR, "normalize='filters' is not allowed; allowed: none, unit, layer, "),
        (relu(), {"bias": "keep", **GENERATOR}, "bias='keep' is not allowed; allowed: zero, scale"),
    ),
    *of(
        landscape.negative_second_difference_share,
        (torch.tensor([0.0, math.nan, 0.0]), "not finite"),
        (torch.zeros(2), "n >= 3"),
    ),
    *of(
        landscape.rescale_first_layer,
        *((relu(), factor, "factor=") for factor in (0.0, -1.0, math.inf, math.nan)),
        (relu(activation="tanh"), 2.0, "only ReLU, LeakyReLU and Identity units rescale"),
        (nn.Linear(2, 1), 2.0, "model has one linear layer"),
    ),
    *of(
        landscape.balance_relu_units,
        (relu(activation="tanh"), "model holds Tanh; only ReLU"),
        (nn.LayerNorm(3), "must be a chain"),
        (broken(), "not finite"),
    ),
    *of(
        landscape.trajectory_components,
        (torch.eye(5), {"center": "first"}, "center='first' is not allowed; allowed: mean, last"),
        (torch.eye(5)[:, :3], 4, "count=4 must be between 1 and 3"),
        (torch.ones(5, 3), 1, "are all equal"),
        (torch.eye(5) * NAN, 1, "not finite"),
        (torch.ones(5), r"must have shape \(T, P\)"),
    ),
    *of(landscape.random_walk_explained_variance, (5, {"steps": 5}, "count=5 must be at least 1 and below")),
    # Kernels
    *of(
        ntk.empirical_ntk,
        (relu(), X, {"method": "exact"}, "method='exact' is"),
        (relu(), X, {"chunk_rows": 0}, "chunk_rows=0"),
        (relu(), X[:0], "at least one row"),
        (relu(), X, X.double(), "x2 is torch.float64 on cpu, but x1 torch.float32"),
        (relu(), X, X[:, 1:], "x2 has shape"),
        (frozen(relu()), X, "no trainable parameters"),
        (nn.Sequential(nn.Linear(3, 4), nn.Unflatten(1, (2, 2))), X, r"outputs are \(6, 2, 2\)"),
    ),
    *of(
        ntk.infinite_ntk,
        (X, {"depth": 1, "activation": "swish", **SCALES}, "activation='swish' is not .* relu, erf, linear,"),
        (X, {"depth": -1, "activation": "relu", **SCALES}, "depth=-1"),
        (X, {"depth": 1, "activation": "relu", **SCALES, "bias_std": math.nan}, "bias_std=nan"),
        (X, {"depth": 1, "activation": "relu", **SCALES, "weight_std": math.inf}, "weight_std=inf"),
        (X, X[:, 1:], {"depth": 1, "activation": "relu", **SCALES}, "x2 is torch.float32 of shape"),
        (1000 * X, {"depth": 1, "activation": "tanh", **SCALES}, "variances .* are too large for tanh"),
    ),
    *of(
        ntk.linearized_predictions,
        (KERNEL, KERNEL, OUT, OUT, OUT, 0.1, 1, {"loss": "mse"}, "loss='mse' is"),
        (KERNEL, KERNEL, OUT, OUT, OUT, 0.1, 1, {"dynamics": "sgd"}, "dynamics='sgd' is"),
        (KERNEL, KERNEL, OUT, OUT, OUT, 0, 1, "lr=0"),
        (KERNEL, KERNEL, OUT, OUT, OUT, 0.1, 0.5, "steps=0.5 must be a whole number"),
        (KERNEL, KERNEL, OUT, OUT, OUT, 0.1, -1, {"dynamics": "gradient_flow"}, "steps=-1 must be a real"),
        (KERNEL, KERNEL, OUT[:, 0], OUT, OUT, 0.1, 1, "f0_t, y and f0_x have shapes"),
        (torch.eye(3), KERNEL, OUT, OUT, OUT, 0.1, 1, r"kernel_tt has shape \(3, 3\)"),
        (KERNEL, KERNEL[:, :, None, None], OUT, OUT, OUT, 0.1, 1, r"kernel_xt has shape \(2, 2, 1, 1\)"),
    ),
    *of(
        ntk.kernel_eigenvalues,
        (torch.zeros(2, 3), r"kernel has shape \(2, 3\); it must be square"),
        (torch.zeros(2, 2, 3), r"kernel has shape \(2, 2, 3\)"),
        (torch.tensor([[1.0, 1.0], [0.0, 1.0]]), "not symmetric"),
        (NAN.expand(2, 2), "not finite"),
    ),
    *of(
        ntk.target_alignment,
        (torch.eye(3), torch.ones(2), "y has 2 rows, but kernel 3"),
        (torch.eye(3), torch.zeros(3), "kernel or y is zero"),
        (torch.zeros(3, 3, 2, 2), torch.ones(3, 1), r"y has shape \(3, 1\), but kernel"),
    ),
    # Representations
    *chain.from_iterable(
        of(
            measure,
            (torch.ones(5), "features has the shape"),
            (torch.ones(0, 3), "features has the shape"),
            (INF.expand(5, 2), "features holds numbers that are not finite"),
        )
        for measure in (
            geometry.principal_component_dimension,
            geometry.participation_ratio,
            geometry.two_nn_dimension,
            lambda features: geometry.fisher_ratio(features, torch.arange(len(features))),
        )
    ),
    *of(geometry.principal_component_dimension, (X, {"threshold": 0}, "threshold=0")),
    *of(geometry.two_nn_dimension, (X, {"discard": 1}, "discard=1")),
    *of(
        geometry.fisher_ratio,
        (X, LABELS.float(), r"labels is torch\.float32"),
        (X, LABELS[1:], "labels is torch.int64 of shape"),
        (X, 0 * LABELS, "one class"),
    ),
    *of(
        geometry.linear_cka,
        (X[:3], X[:3], "N >= 4"),
        (X, X[1:], "y has 5 rows where x has 6"),
        (X, X * NAN, "y holds numbers"),
    ),
    *of(
        geometry.classification_probe,
        (X, LABELS.double(), X, LABELS, r"train_labels is torch\.float64"),
        (X, LABELS, X, LABELS[1:], "test_labels is"),
        (X, 0 * LABELS, X, LABELS, "one class"),
        (X, LABELS, X, LABELS, {"regularization": 0}, "regularization=0"),
    ),
    *of(
        geometry.regression_probe,
        (X, Y, X, Y, {"regularization": -1}, "regularization=-1"),
        (X, Y, X[:, 1:], Y, "test_features has 2 columns where train_features has 3"),
        (X * NAN, Y, X, Y, "train_features holds"),
        (X, Y, X, Y[1:], "test_targets has the shape"),
        (X, X, X, Y, "train_targets has 3 columns, test_targets 1"),
    ),
    *of(
        geometry.layer_features,
        (Twice(), X, {"layers": ["activation"]}, "'activation' is called 2 times"),
        (Twice(), X, {"layers": ["unused"]}, "'unused' is called 0 times"),
        (Twice(), X, {"layers": ["missing"]}, "layers names 'missing'"),
        (Pair(), X, "returns tuple"),
        (nn.Flatten(0), X, r"returns a tensor \(18,\)"),
        (nn.Dropout(0.5), X, r"training mode.*call model.eval\(\) first"),
        (relu(), X, {"chunk_size": 0}, "chunk_size=0"),
    ),
    # Risk, pieces, pruning
    *of(
        risk.isotropic_risk,
        *(
            (*counts, {"signal_inside": 0, "signal_outside": 1, "noise_std": noise}, message)
            for *counts, noise, message in (
                (0, 3, 1, "n_samples=0"), (5, 3, -1, "noise_std=-1"), (5, -1, 1, "n_features=-1")
            )
        ),
    ),
    *of(risk.random_feature_risk, (5, 5, 0, "input_dim=0"), (5, 4, 3, {"noise_std": math.nan}, "std=nan")),
    *of(
        risk.minimum_norm_solution,
        (X[0], Y, "design has the shape"),
        (X, Y[1:], "targets has the shape"),
        (X, Y * NAN, "not finite"),
    ),
    *of(risk.ridge_solution, (X, Y, -1, "ridge=-1"), (X, Y, math.inf, "ridge=inf")),
    *of(risk.minimum_norm_distance, (X, Y, Y, "weights has the shape")),
    *of(risk.linear_system, (nn.Linear(3, 1), X, Y[:, 0], "y has the shape")),
    *of(
        linear_pieces,
        (relu(activation="tanh"), "Tanh is not a layer"),
        (relu(input_dim=1), {"lower": 1, "upper": 1}, "lower=1 and upper=1"),
        (nn.Linear(2, 1), "expects 2 inputs where 1 arrive"),
        (tent_map(5), {"max_regions": 10}, "max_regions=10"),
        (broken(input_dim=1), "not finite"),
    ),
    *of(
        pruning.magnitude_masks,
        *((relu(), rate, "rate=.* must be at least 0 and below 1") for rate in (1.0, -0.1, math.nan)),
        (relu(), 0.5, {"scope": "net"}, "scope='net' is not allowed; allowed: layer, global"),
        (relu(), 0.5, {"scope": "global", "readout_rate": 0.1}, "readout_rate=0.1 needs scope='layer'"),
        (relu(), 0.5, {"previous": {"readout.weight": MASKS["readout.weight"]}}, "masks lacks hidden_1.we"),
        (relu(), 0.5, {"previous": MASKS | {"readout.weight": Y}}, r"must be boolean with shape \(1, 4\)"),
        (nn.BatchNorm1d(3), 0.5, "no trainable weights"),
        (broken(), 0.5, "weights that are not finite in 'readout.weight'"),
    ),
    *of(pruning.random_signs, ({}, {"other": MASKS["readout.weight"]}, GENERATOR, "masks names 'other'")),
    *of(pruning.density, ({}, "masks is empty")),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), ROWS, ids=[f"{i}-{row[1][:30]}" for i, row in enumerate(ROWS)])
def test_bad_arguments_are_refused_in_one_sentence(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        call()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda *problem: hessian.hessian_matrix(*problem), "the dense Hessian of"),
        (lambda *problem: hessian.find_critical_point(*problem), "dense Hessians of"),
        (lambda model, _, x, __: ntk.empirical_ntk(model, x.expand(2_000_000, -1)), "the 2000000 x"),
    ],
)
def test_what_does_not_fit_is_refused_with_an_estimate(call: Callable[..., Any], message: str) -> None:
    with pytest.raises(MemoryError, match=rf"{message}.* needs about \d+\.\d GiB, but cpu has"):
        call(nn.Linear(2_000_000, 1), mean_squared_error, torch.ones(1, 2_000_000), torch.ones(1, 1))


def test_searches_that_do_not_end_say_so() -> None:
    with pytest.raises(RuntimeError, match="not balanced after max_sweeps=1"):
        landscape.balance_relu_units(relu(depth=2), max_sweeps=1)
    with pytest.raises(FloatingPointError, match="diverged"):
        connectivity.fit_bezier(relu(), mean_squared_error, X, Y * NAN, ENDS, steps=2, **GENERATOR)
