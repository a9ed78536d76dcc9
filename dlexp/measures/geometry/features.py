"""Per-layer features: what each module of a network puts out on given inputs."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_at_least
from dlexp.measures.determinism import fixed_outputs, require_deterministic, require_inputs
from dlexp.measures.isolation import differentiable, ordinary, private_copy

Hook = Callable[[nn.Module, tuple[object, ...], object], None]


def leaf_modules(model: nn.Module) -> list[str]:
    """Return the names of the modules without submodules, in the order of ``model.named_modules()``.

    >>> leaf_modules(nn.Sequential(nn.Linear(3, 2), nn.ReLU()))
    ['0', '1']
    """
    return [
        name
        for name, module in model.named_modules()
        # A parametrised weight (weight_norm and the like) is a submodule, but not a layer.
        if "parametrizations" not in name.split(".")
        and all(child == "parametrizations" for child, _ in module.named_children())
    ]


def nonlinear_modules(model: nn.Module) -> list[str]:
    """Return the names of the leaf modules without parameters and buffers: activations, pooling and the like.

    A frozen linear layer keeps its weights in a buffer and is none of them.

    >>> nonlinear_modules(nn.Sequential(nn.Linear(3, 2), nn.ReLU()))
    ['1']
    """
    modules = {name: model.get_submodule(name) for name in leaf_modules(model)}
    return [name for name, leaf in modules.items() if not [*leaf.parameters(), *leaf.buffers()]]


def layer_features(
    model: nn.Module, x: Tensor, *, layers: Sequence[str] | None = None, chunk_size: int | None = None
) -> dict[str, Tensor]:
    """Return the output of each named module on the inputs x (N, ...) as a matrix (N, features).

    Forward hooks on a private copy record the outputs, as copies, for a later in-place activation would
    overwrite them. ``layers`` are names as in
    ``model.named_modules()`` ("" is the model itself); default :func:`leaf_modules`. The result has the
    order of ``layers`` and no gradients. ``chunk_size`` bounds the number of inputs in one forward pass
    (default: all).

    Raises ``ValueError`` for an unknown name, a module that one forward pass calls never or more than once,
    an output that is not a tensor with N rows, and a model that is random or changes its state.

    >>> layer_features(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), torch.ones(4, 3))["1"].shape
    torch.Size([4, 2])
    """
    require_deterministic(model)
    require_inputs(model, x)
    require_at_least(1, chunk_size=chunk_size)
    network, x = private_copy(model), ordinary(x)
    modules = dict(network.named_modules())
    names = leaf_modules(model) if layers is None else list(layers)
    for name in names:
        if name not in modules:
            raise ValueError(
                f"layers names {name!r}, which {type(model).__name__} has not; allowed: {[*modules]}"
            )
    pieces: dict[str, list[Tensor]] = {name: [] for name in names}
    fixed_outputs(private_copy(model), x[:chunk_size])
    for chunk in x.split(chunk_size or len(x)):
        for name, output in _record(network, chunk, {name: modules[name] for name in names}).items():
            pieces[name].append(output)
    return {name: torch.cat(outputs) for name, outputs in pieces.items()}


def _record(network: nn.Module, x: Tensor, modules: dict[str, nn.Module]) -> dict[str, Tensor]:
    calls: dict[str, list[object]] = {name: [] for name in modules}

    def recorder(name: str) -> Hook:
        def hook(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
            calls[name].append(output.detach().clone() if isinstance(output, Tensor) else output)

        return hook

    handles = [module.register_forward_hook(recorder(name)) for name, module in modules.items()]
    with differentiable(), torch.no_grad():
        network(x.clone())
    for handle in handles:
        handle.remove()
    return {name: _rows(name, outputs, len(x)) for name, outputs in calls.items()}


def _rows(name: str, outputs: list[object], n: int) -> Tensor:
    if len(outputs) != 1:
        raise ValueError(
            f"module {name!r} is called {len(outputs)} times in one forward pass; "
            "allowed: once (name other modules in layers)"
        )
    output = outputs[0]
    if not isinstance(output, Tensor) or output.ndim == 0 or len(output) != n:
        kind = f"a tensor {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"module {name!r} returns {kind} for {n} inputs; allowed: a tensor with {n} rows")
    return output.reshape(n, -1)


def finite_features(name: str, features: Tensor, *, least_rows: int = 1) -> Tensor:
    """Return features (N, P) in float64.

    Raises ``ValueError``, with their ``name``, for other shapes, fewer than ``least_rows`` rows, and numbers
    that are not finite.

    >>> finite_features("x", torch.ones(2, 3)).dtype
    torch.float64
    """
    if features.ndim != 2 or features.numel() == 0 or len(features) < least_rows:
        raise ValueError(
            f"{name} has the shape {tuple(features.shape)}; allowed: (N, P) with N >= {least_rows}, P >= 1"
        )
    if not bool(torch.isfinite(features).all()):
        raise ValueError(f"{name} holds numbers that are not finite; allowed: finite numbers")
    return features.double()


def require_labels(name: str, labels: Tensor, rows: int) -> None:
    """Refuse labels that are not integers (rows,).

    Raises ``ValueError`` with their ``name``.

    >>> require_labels("labels", torch.tensor([0, 1]), 2)
    """
    if labels.shape != (rows,) or labels.is_floating_point() or labels.is_complex():
        raise ValueError(
            f"{name} is {labels.dtype} of shape {tuple(labels.shape)}; allowed: integers ({rows},)"
        )
