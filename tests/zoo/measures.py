"""Every measure that looks at a module, with the check of what it finds against the oracle."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dlexp.measures.connectivity import end_points, fit_bezier, match_permutation, path_losses
from dlexp.measures.functional import mean_squared_error
from dlexp.measures.geometry import layer_features
from dlexp.measures.hessian import (
    classify_critical_point,
    find_critical_point,
    hessian_matrix,
    hvp,
    spectral_density,
    spectrum,
    top_eigenvalues,
    trace,
)
from dlexp.measures.landscape import (
    balance_relu_units,
    loss_line,
    loss_plane,
    random_direction,
    rescale_first_layer,
    rescaling_change,
)
from dlexp.measures.linear_pieces import linear_pieces
from dlexp.measures.ntk import empirical_ntk
from dlexp.measures.pruning import dense_masks, magnitude_masks
from dlexp.measures.risk import linear_system
from dlexp.measures.sharpness import average, one_step, worst_case
from tests.zoo.oracle import Oracle

LOSS = mean_squared_error


@dataclass(frozen=True)
class Measure:
    """A measure with its check.

    Attributes:
        check: calls it on a module and compares with the oracle.
        calls: whether it calls the module, which must then be a fixed function.
        by_row: whether it needs outputs that are one vector for each row.
        of_chains: whether it may refuse what is no chain.
    """

    check: Callable[[nn.Module, Oracle], None]
    calls: bool = True
    by_row: bool = False
    of_chains: bool = False


def _equal(found: Any, expected: Any, tolerance: float = 1e-9) -> None:
    found = torch.as_tensor(found, dtype=torch.float64)
    expected = torch.as_tensor(expected, dtype=torch.float64)
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * max(scale, 1e-3))


def _directions(oracle: Oracle, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(count, len(oracle.vector), dtype=torch.float64, generator=generator)


def _arguments(network: nn.Module, oracle: Oracle) -> tuple[nn.Module, Any, Tensor, Tensor]:
    return network, LOSS, oracle.x, oracle.y


def check_hvp(network: nn.Module, oracle: Oracle) -> None:
    vectors = _directions(oracle, 3)
    _equal(hvp(*_arguments(network, oracle), vectors), vectors @ oracle.own_hessian)
    _equal(hvp(*_arguments(network, oracle), vectors[0]), vectors[0] @ oracle.own_hessian)


def check_hessian_matrix(network: nn.Module, oracle: Oracle) -> None:
    _equal(hessian_matrix(*_arguments(network, oracle)), oracle.own_hessian)


def check_spectrum(network: nn.Module, oracle: Oracle) -> None:
    _equal(spectrum(*_arguments(network, oracle)), torch.linalg.eigvalsh(oracle.own_hessian))


def check_top_eigenvalues(network: nn.Module, oracle: Oracle) -> None:
    found = top_eigenvalues(*_arguments(network, oracle), 2, end="both")
    values = torch.linalg.eigvalsh(oracle.own_hessian)
    _equal(found.eigenvalues, values[[-1, -2, 0, 1]], 1e-7)


def check_trace(network: nn.Module, oracle: Oracle) -> None:
    found = trace(*_arguments(network, oracle), n_probes=50)
    error = float(found.trace - oracle.own_hessian.trace())
    assert abs(error) <= 5 * found.standard_error + 1e-12
    off_diagonal = oracle.own_hessian - oracle.own_hessian.diag().diag()
    assert found.standard_error <= 3 * float(off_diagonal.norm()) * math.sqrt(2 / 50) + 1e-12


def check_spectral_density(network: nn.Module, oracle: Oracle) -> None:
    size = len(oracle.vector)
    found = spectral_density(*_arguments(network, oracle), n_probes=2, n_steps=size)
    values = torch.linalg.eigvalsh(oracle.own_hessian)
    weighty = found.nodes[found.weights > 1e-6]
    nearest = (weighty[:, None] - values[None]).abs().amin(dim=1)
    _equal(nearest, torch.zeros_like(nearest), 1e-6 * float(values.abs().max()) * 1e3)


def check_classify_critical_point(network: nn.Module, oracle: Oracle) -> None:
    found = classify_critical_point(*_arguments(network, oracle))
    _equal(found.gradient_norm, oracle.own_gradient.norm())
    _equal(found.eigenvalues, torch.linalg.eigvalsh(oracle.own_hessian))


def check_find_critical_point(network: nn.Module, oracle: Oracle) -> None:
    starts = oracle.vector + 0.1 * _directions(oracle, 2)
    found = find_critical_point(*_arguments(network, oracle), starts, max_steps=2, weight_decay=0.1)
    for index in range(2):
        vector = found.vector[index]
        _equal(found.loss[index], oracle.loss(vector))
        _equal(found.gradient_norm[index], (oracle.gradient(vector) + 0.1 * vector).norm())
        hessian = oracle.hessian(vector)
        _equal(found.eigenvalues[index], torch.linalg.eigvalsh((hessian + hessian.T) / 2) + 0.1, 1e-8)


def check_empirical_ntk(network: nn.Module, oracle: Oracle) -> None:
    found = empirical_ntk(network, oracle.x)
    kernel = torch.einsum("ikp,jlp->ijkl", oracle.jacobian, oracle.jacobian)
    kernel = kernel[:, :, 0, 0] if kernel.shape[2] == 1 else kernel
    _equal(found, kernel)
    _equal(empirical_ntk(network, oracle.x[:2], oracle.x, method="jacobian"), kernel[:2])


def _losses(oracle: Oracle, vectors: Tensor) -> Tensor:
    return torch.stack([oracle.loss(vector) for vector in vectors])


def check_loss_line(network: nn.Module, oracle: Oracle) -> None:
    (direction,) = _directions(oracle, 1)
    line = loss_line(*_arguments(network, oracle), direction, points=5)
    _equal(line.losses, _losses(oracle, oracle.vector + line.coordinates[:, None] * direction))


def check_loss_plane(network: nn.Module, oracle: Oracle) -> None:
    directions = _directions(oracle, 2)
    plane = loss_plane(*_arguments(network, oracle), directions, points=3, chunk_size=2)
    steps = torch.cartesian_prod(plane.first, plane.second)
    _equal(plane.losses.flatten(), _losses(oracle, oracle.vector + steps @ directions))


def check_path_losses(network: nn.Module, oracle: Oracle) -> None:
    ends = end_points(network, network)
    ends[1] += _directions(oracle, 1)[0]
    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)[:, None]
    found = path_losses(*_arguments(network, oracle), ends, points=3)
    _equal(found, _losses(oracle, (1 - t) * ends[0] + t * ends[1]))


def check_fit_bezier(network: nn.Module, oracle: Oracle) -> None:
    ends = torch.stack([oracle.vector, oracle.vector + _directions(oracle, 1)[0]])
    curve = fit_bezier(
        *_arguments(network, oracle),
        ends,
        generator=torch.Generator().manual_seed(0),
        steps=2,
        learning_rate=0.1,
    )
    generator = torch.Generator().manual_seed(0)
    bend = (ends[0] + ends[1]) / 2
    optimizer = torch.optim.Adam([bend], lr=0.1)
    for step, t in enumerate(torch.rand(2, dtype=torch.float64, generator=generator)):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 + math.cos(math.pi * step / 2)) / 2
        point = (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * bend + t**2 * ends[1]
        bend.grad = 2 * t * (1 - t) * oracle.gradient(point)
        optimizer.step()
    # Adam divides by the gradient's size: entries that are rounding errors may move anywhere.
    moved = oracle.own_gradient.abs() > 1e-9
    _equal(curve.knots[1][moved], bend[moved], 1e-6)


def check_one_step(network: nn.Module, oracle: Oracle) -> None:
    found = one_step(*_arguments(network, oracle), radius=0.1)
    gradient = oracle.own_gradient
    step = 0.1 * gradient / gradient.norm() if gradient.norm() > 0 else gradient
    _equal(found, oracle.loss(oracle.vector + step) - oracle.loss(oracle.vector))


def check_worst_case(network: nn.Module, oracle: Oracle) -> None:
    found = worst_case(*_arguments(network, oracle), radius=0.1, n_starts=2, max_steps=3)
    assert float(found.perturbation.norm()) <= 0.1 * (1 + 1e-12)
    rise = oracle.loss(oracle.vector + found.perturbation) - oracle.loss(oracle.vector)
    _equal(found.increase, rise)
    gradient = oracle.own_gradient
    if gradient.norm() > 0:
        step = 0.1 * gradient / gradient.norm()
        assert found.increase >= float(oracle.loss(oracle.vector + step) - oracle.loss(oracle.vector)) - 1e-12


def check_average(network: nn.Module, oracle: Oracle) -> None:
    found = average(
        *_arguments(network, oracle), radius=0.1, n_samples=4, generator=torch.Generator().manual_seed(7)
    )
    generator = torch.Generator().manual_seed(7)
    rises = []
    for _ in range(4):
        step = torch.randn(len(oracle.vector), dtype=torch.float64, generator=generator)
        step *= 0.1 / step.norm()
        ends = oracle.loss(oracle.vector + step) + oracle.loss(oracle.vector - step)
        rises.append(ends / 2 - oracle.loss(oracle.vector))
    _equal(found.increase, torch.stack(rises).mean(), 1e-7)


def check_layer_features(network: nn.Module, oracle: Oracle) -> None:
    (features,) = layer_features(network, oracle.x, layers=[""]).values()
    _equal(features, oracle.outputs(oracle.vector).reshape(6, -1))


def check_linear_system(network: nn.Module, oracle: Oracle) -> None:
    try:
        system = linear_system(network, oracle.x, oracle.y)
    except ValueError as error:
        if "is not linear in its trainable parameters" not in str(error):
            raise
        assert float((oracle.own_hessian - oracle.gauss_newton).norm()) > 1e-12
        return
    _equal(system.design, oracle.jacobian.flatten(0, 1))


def check_masks(network: nn.Module, oracle: Oracle) -> None:
    masks = magnitude_masks(network, 0.5)
    parameters = dict(network.named_parameters())
    assert set(masks) == set(dense_masks(network))
    for name, mask in masks.items():
        weight = parameters[name].detach().abs()
        assert not mask.any() or not (~mask).any() or float(weight[mask].min()) >= float(weight[~mask].max())


def check_random_direction(network: nn.Module, oracle: Oracle) -> None:
    direction = random_direction(network, "layer", bias="scale", generator=torch.Generator().manual_seed(0))
    sizes = [p.numel() for p in network.parameters() if p.requires_grad]
    norms = [part.norm() for part in direction.split(sizes)]
    _equal(torch.stack(norms), torch.stack([part.norm() for part in oracle.vector.split(sizes)]))


def check_match_permutation(network: nn.Module, oracle: Oracle) -> None:
    matching = match_permutation(network, network)
    x = oracle.x.to(next(network.parameters()).dtype)  # weights in half precision match as well
    _equal(matching.model(x).detach(), copy.deepcopy(network)(x).detach())


def check_rescalings(network: nn.Module, oracle: Oracle) -> None:
    for other in (balance_relu_units(network), rescale_first_layer(network, 3.0)):
        _equal(other(oracle.x).detach(), oracle.outputs(oracle.vector))
    generator = torch.Generator().manual_seed(0)
    assert rescaling_change(*_arguments(network, oracle), 3.0, "layer", generator=generator, points=3) < 1e-9


def check_linear_pieces(network: nn.Module, oracle: Oracle) -> None:
    assert linear_pieces(network).count >= 1


MEASURES: dict[str, Measure] = {
    "hvp": Measure(check_hvp),
    "hessian_matrix": Measure(check_hessian_matrix),
    "spectrum": Measure(check_spectrum),
    "top_eigenvalues": Measure(check_top_eigenvalues),
    "trace": Measure(check_trace),
    "spectral_density": Measure(check_spectral_density),
    "classify_critical_point": Measure(check_classify_critical_point),
    "find_critical_point": Measure(check_find_critical_point),
    "empirical_ntk": Measure(check_empirical_ntk, by_row=True),
    "loss_line": Measure(check_loss_line),
    "loss_plane": Measure(check_loss_plane),
    "path_losses": Measure(check_path_losses),
    "fit_bezier": Measure(check_fit_bezier),
    "one_step": Measure(check_one_step),
    "worst_case": Measure(check_worst_case),
    "average": Measure(check_average),
    "layer_features": Measure(check_layer_features),
    "linear_system": Measure(check_linear_system),
    "masks": Measure(check_masks, calls=False),
    "random_direction": Measure(check_random_direction, calls=False),
    "match_permutation": Measure(check_match_permutation, calls=False, of_chains=True),
    "rescalings": Measure(check_rescalings, of_chains=True),
    "linear_pieces": Measure(check_linear_pieces, of_chains=True),
}
