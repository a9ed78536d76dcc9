"""The measures beside what a user would otherwise write or install: times in float32, values in float64."""

import importlib
import importlib.util
import math
import warnings
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, jvp, vmap
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.jobs import plain_network
from benchmarks.timing import Section, Settings, in_turn, rows_of, timed
from dlexp.measures.functional import FunctionalLoss, mean_squared_error, parameter_vector
from dlexp.measures.hessian import hvp, spectral_density
from dlexp.measures.landscape import loss_plane, random_direction
from dlexp.measures.ntk import empirical_ntk
from dlexp.models.mlp import MLP

Ways = Mapping[str, Callable[[], Tensor]]
OURS = "dlexp"


def measure(settings: Settings) -> Section:
    """Time every measure that has a peer; always on the CPU, with one thread."""
    settings = Settings(quick=settings.quick)
    rows, width = (20, 8) if settings.quick else (200, 256)
    section = Section()
    for package in ("nngeometry", "curvlinops"):
        if not _is_installed(package):
            section.remarks.append(f"{package} is not installed (make peers): left out.")
    for outputs in (1, 3):
        for kind, make in (("nn.Sequential", _sequential), ("MLP", _mlp)):
            case = f"NTK, N = {rows}, {kind} 10-{width}-{width}-{outputs}"
            model = partial(make, [10, width, width, outputs])
            _compare(section, case, partial(_ntk_ways, model, rows), settings)
    section.remarks.append("nngeometry does not know the MLP's scaled layers: nn.Sequential only.")
    count = 2 if settings.quick else 16
    narrow = width // 4
    for sizes, n in (([10, 50, 1], 100), ([10, narrow, narrow, 1], rows), ([10, width, width, 1], rows)):
        case = f"{count} Hessian-vector products, N = {n}, {'-'.join(map(str, sizes))}"
        _compare(section, case, partial(_hvp_ways, sizes, n, count), settings)
    probes, steps = (2, 8) if settings.quick else (5, 60)
    case = f"spectral density, {probes} probes x {steps} steps, N = 100, 10-50-1"
    _compare(section, case, partial(_density_ways, probes, steps), settings)
    points = 5 if settings.quick else 51
    for n in (100, 1000):
        case = f"plane of {points} x {points} points, N = {n}, 10-50-1"
        _compare(section, case, partial(_plane_ways, points, n), settings)
    return section


def _compare(section: Section, case: str, make: Callable[[torch.dtype], Ways], settings: Settings) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peers' own
        values = {way: work() for way, work in make(torch.float64).items()}
        ours = values[OURS]
        differences = {
            way: float((value - ours).abs().max() / ours.abs().max())
            for way, value in values.items()
            if way != OURS
        }
        ways = {way: partial(timed, work, settings.device) for way, work in make(torch.float32).items()}
        laps = in_turn(ways, settings.rounds)
    section.rows += rows_of(case, laps, settings, reference=OURS, unit="ms", differences=differences)


def _ntk_ways(make: Callable[[torch.dtype], nn.Module], n: int, dtype: torch.dtype) -> Ways:
    model = make(dtype)
    x = torch.randn(n, 10, dtype=dtype, generator=_generator())
    ways = {OURS: lambda: empirical_ntk(model, x), "torch.func Jacobian": lambda: _jacobian_ntk(model, x)}
    if _is_installed("nngeometry") and type(model) is nn.Sequential:
        ways["nngeometry"] = lambda: _nngeometry_ntk(model, x)
    return ways


def _jacobian_ntk(model: nn.Module, x: Tensor) -> Tensor:
    """Contract per-sample Jacobians, as torch's tutorial on neural tangent kernels does."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def outputs(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        result: Tensor = functional_call(model, parameters, (row[None],))[0]
        return result

    jacobians = vmap(jacrev(outputs), (None, 0))(parameters, x).values()
    flat = [jacobian.flatten(2) for jacobian in jacobians]
    kernel = torch.stack([torch.einsum("Naf,Mbf->NMab", j, j) for j in flat]).sum(0)
    return kernel[:, :, 0, 0] if kernel.shape[-1] == 1 else kernel


def _nngeometry_ntk(model: nn.Module, x: Tensor) -> Tensor:
    gram = importlib.import_module("nngeometry.gram")
    layers = importlib.import_module("nngeometry.layercollection").LayerCollection.from_model(model)
    loader = DataLoader(TensorDataset(x), batch_size=len(x))
    matrix = gram.GramMatrix(model, loader, lambda *batch: model(batch[0]), layer_collection=layers)
    kernel: Tensor = matrix.to_torch()  # (K, N, K, N)
    return kernel[0, :, 0, :] if len(kernel) == 1 else kernel.permute(1, 3, 0, 2)


def _hvp_ways(sizes: list[int], n: int, count: int, dtype: torch.dtype) -> Ways:
    model, x, y = _problem(sizes, n, dtype)
    loss, point = FunctionalLoss(model, mean_squared_error, x, y).swapped, parameter_vector(model)
    vectors = torch.randn(count, len(point), dtype=dtype, generator=_generator())
    variable = point.clone().requires_grad_()

    def forward_over_reverse(v: Tensor) -> Tensor:
        product: Tensor = jvp(grad(loss), (point,), (v,))[1]
        return product

    def gradient() -> Tensor:
        return torch.autograd.grad(loss(variable), variable, create_graph=True)[0]

    def double_backward(of: Tensor, v: Tensor, keep: bool) -> Tensor:
        return torch.autograd.grad(of, variable, v, retain_graph=keep)[0]

    def graph_kept() -> Tensor:
        once = gradient()
        return torch.stack([double_backward(once, v, True) for v in vectors])

    return {
        OURS: lambda: hvp(model, mean_squared_error, x, y, vectors),
        "loop of jvp(grad)": lambda: torch.stack([forward_over_reverse(v) for v in vectors]),
        "loop of double backward": lambda: torch.stack(
            [double_backward(gradient(), v, False) for v in vectors]
        ),
        "loop of double backward, graph kept": graph_kept,
        "vmap of jvp(grad)": lambda: vmap(forward_over_reverse)(vectors),
    }


def _density_ways(probes: int, steps: int, dtype: torch.dtype) -> Ways:
    """Return ways to the same density: the same probes, smoothed and placed as curvlinops does."""
    model, x, y = _problem([10, 50, 1], 100, dtype)
    low, high, points, margin, kappa = -5.0, 20.0, 500, 0.05, 3.0
    pad = margin * (high - low)
    grid = torch.linspace(low - pad, high + pad, points, dtype=dtype)
    half_range = (high - low) / 2 + pad
    kernel_width = half_range * 2 / (steps - 1) / math.sqrt(8 * math.log(kappa))

    def ours() -> Tensor:
        return spectral_density(
            model,
            mean_squared_error,
            x,
            y,
            n_probes=probes,
            n_steps=steps,
            kernel_width=kernel_width,
            grid=grid,
            distribution="gaussian",
            generator=_generator(),
        ).density

    def peer() -> Tensor:
        curvlinops = importlib.import_module("curvlinops")
        operator = curvlinops.HessianLinearOperator(
            model, nn.MSELoss(), list(model.parameters()), [(x, y)], check_deterministic=False
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            density: Tensor = curvlinops.lanczos_approximate_spectrum(
                operator,
                steps,
                num_points=points,
                num_repeats=probes,
                boundaries=(low, high),
                margin=margin,
                kappa=kappa,
            )[1]
        return density

    return {OURS: ours, "curvlinops": peer} if _is_installed("curvlinops") else {OURS: ours}


def _plane_ways(points: int, n: int, dtype: torch.dtype) -> Ways:
    model, x, y = _problem([10, 50, 1], n, dtype)
    directions = torch.stack([random_direction(model, generator=_generator(s)) for s in (1, 2)])
    plane = partial(loss_plane, model, mean_squared_error, x, y, directions, points=points)
    coordinates = torch.linspace(-1, 1, points, dtype=torch.float64).to(dtype)

    @torch.no_grad()
    def loop() -> Tensor:
        parameters = list(model.parameters())
        origin = parameter_vector(model)
        losses = torch.empty(points, points, dtype=dtype)
        for i, a in enumerate(coordinates):
            for j, b in enumerate(coordinates):
                point = origin + a * directions[0] + b * directions[1]
                torch.nn.utils.vector_to_parameters(point, parameters)
                losses[i, j] = mean_squared_error(model(x), y)
        torch.nn.utils.vector_to_parameters(origin, parameters)
        return losses

    return {OURS: lambda: plane().losses, "loop over the grid": loop}


def _sequential(sizes: list[int], dtype: torch.dtype) -> nn.Module:
    return plain_network(sizes, nn.Tanh).to(dtype)


def _mlp(sizes: list[int], dtype: torch.dtype) -> nn.Module:
    return MLP(
        input_dim=sizes[0],
        width=sizes[1],
        depth=len(sizes) - 2,
        output_dim=sizes[-1],
        activation="tanh",
        parametrization="ntk",
        bias_std=0.1,
        generator=_generator(),
    ).to(dtype)


def _problem(sizes: list[int], n: int, dtype: torch.dtype) -> tuple[nn.Module, Tensor, Tensor]:
    x = torch.randn(n, sizes[0], dtype=torch.float64, generator=_generator()).to(dtype)
    return _sequential(sizes, dtype), x, torch.sin(x.sum(dim=1, keepdim=True))


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
