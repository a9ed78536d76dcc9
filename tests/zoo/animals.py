"""Modules as people write them, none of them ours: what measures may meet.

Each animal is a function of its parameters and inputs, unless it says that it is not (``fixed=False``).
"""

import random
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

SHAPES = {"rows": (6, 3), "series": (6, 2, 7), "images": (6, 2, 5, 5), "sequences": (6, 4, 3)}


@dataclass(frozen=True)
class Animal:
    """A module and what is true of it.

    Attributes:
        make: builds the module, with weights from torch's global generator.
        inputs: a key of ``SHAPES``, or ``tokens``: integers (6, 4).
        fixed: whether its outputs are a fixed tensor-valued function of parameters and inputs.
        by_row: whether each row of the outputs, a vector, depends on its own row of the inputs alone.
        is_chain: whether it is a chain of linear layers and activations.
        plain: the same function of the same parameters, for the oracle; needed where autograd is wrong.
    """

    make: Callable[[], nn.Module]
    inputs: str = "rows"
    fixed: bool = True
    by_row: bool = True
    is_chain: bool = False
    plain: Callable[[], nn.Module] | None = None

    def fresh(self, plain: bool = False) -> nn.Module:
        """Return the module in float64, the same at every call; half precision stays."""
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is deprecated is still in use
            torch.manual_seed(1)
            module = self.plain() if plain and self.plain is not None else self.make()
            halves = {p.dtype for p in module.parameters()} == {torch.bfloat16}
            return module if halves else module.double()

    def data(self) -> Tensor:
        """Return inputs (6, ...)."""
        generator = torch.Generator().manual_seed(2)
        if self.inputs == "tokens":
            return torch.randint(5, (6, 4), generator=generator)
        return torch.randn(*SHAPES[self.inputs], dtype=torch.float64, generator=generator)


class Applied(nn.Module):
    """A module whose forward is ``function(self, x)``."""

    def __init__(self, function: Callable[[Any, Tensor], Any], **members: Any) -> None:
        super().__init__()
        self.function = function
        for name, member in members.items():
            if isinstance(member, Tensor) and not isinstance(member, nn.Parameter):
                self.register_buffer(name, member)
            else:
                setattr(self, name, member)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def _mlp(*between: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), *(between or [nn.Tanh()]), nn.Linear(4, 2))


def _changed(change: Callable[[nn.Sequential], Any], *between: nn.Module) -> nn.Module:
    network = _mlp(*between)
    change(network)
    return network


def _shared_in_list() -> nn.Module:
    def forward(self: Any, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = torch.tanh(block(x))
        return self.out(x)

    return Applied(forward, blocks=nn.ModuleList([nn.Linear(3, 3)] * 2), out=nn.Linear(3, 2))


def _shared_in_sequential() -> nn.Module:
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.Tanh(), layer)


def _tied() -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    network[2].weight = network[0].weight
    return network


def _autoencoder() -> nn.Module:
    return Applied(
        lambda self, x: F.linear(torch.tanh(self.encode(x)), self.encode.weight.T, self.bias),
        encode=nn.Linear(3, 2),
        bias=nn.Parameter(torch.randn(3)),
    )


def _attention(self: Any, x: Tensor) -> Tensor:
    q, k, v = self.project(x).chunk(3, dim=-1)
    return F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0].mean(dim=1)


def _multihead() -> nn.Module:
    return Applied(
        lambda self, x: self.attention(x, x, x, need_weights=False)[0].mean(dim=1),
        attention=nn.MultiheadAttention(4, 2, batch_first=True),
    )


def _embedded(module: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), module)


def _recurrent(kind: type[nn.RNNBase]) -> nn.Module:
    return Applied(lambda self, x: self.recurrent(x)[0][:, -1], recurrent=kind(3, 2, batch_first=True))


def _item(self: Any, x: Tensor) -> Tensor:
    h = torch.tanh(self.layer(x))
    return h / (1 + abs(h[0, 0].item() * 0)) + self.layer.weight[0, 0].item() * 0


def _branch(self: Any, x: Tensor) -> Tensor:
    h = self.layer(x)
    return torch.tanh(h) if x.abs().sum() > 0 else h


def _zeros(self: Any, x: Tensor) -> Tensor:
    out = torch.zeros(len(x), 2, dtype=x.dtype)
    h = torch.tanh(self.layer(x))
    out[:, 0] = h[:, 1]
    out[:, 1] = h[:, 0] * h[:, 1]
    return out


def _masked(self: Any, x: Tensor) -> Tensor:
    h = self.layer(x)
    out = torch.tanh(h).clone()
    positive = x[:, 0] > 0
    out[positive] = out[positive] ** 2
    return out


class _Cube(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        return 3 * x**2 * gradient


def _force(self: Any, x: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        energy = self.energy(x).sum()
        (force,) = torch.autograd.grad(energy, x, create_graph=True)
    return force


def _counting(self: Any, x: Tensor) -> Tensor:
    self.calls += 1
    return torch.tanh(self.layer(x))


def _keeping(self: Any, x: Tensor) -> Tensor:
    self.kept.append(self.layer(x))
    self.last = torch.tanh(self.kept[-1])
    return self.last


def _averaging(self: Any, x: Tensor) -> Tensor:
    h = self.layer(x)
    if self.training:
        self.mean = 0.9 * self.mean + 0.1 * h.detach().mean(dim=0)
    return torch.tanh(h - self.mean)


def _decaying(self: Any, x: Tensor) -> Tensor:
    self.state["scale"] *= 0.5
    return torch.tanh(self.layer(x)) * self.state["scale"]


def _lazy() -> nn.Module:
    network = nn.Sequential(nn.LazyLinear(4), nn.Tanh(), nn.LazyLinear(2))
    network(torch.zeros(1, 3))
    return network


def _plain_weight_norm() -> nn.Module:
    def forward(self: Any, x: Tensor) -> Tensor:
        weight = self.v * (self.g / self.v.square().sum(dim=1, keepdim=True).sqrt())
        return self.out(torch.tanh(F.linear(x, weight, self.bias)))

    shapes = {"bias": (4,), "g": (4, 1), "v": (4, 3)}
    members = {name: nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}
    return Applied(forward, **members, out=nn.Linear(4, 2))


def _old_weight_norm() -> nn.Module:
    return _changed(lambda n: torch.nn.utils.weight_norm(n[0]))


def _complex(self: Any, x: Tensor) -> Tensor:
    return torch.view_as_real(self.layer(x).to(torch.complex128) * self.phase).flatten(1)


def _with_frozen_layer(n: nn.Sequential) -> None:
    n[0].requires_grad_(False)


def _prune(n: nn.Sequential) -> None:
    prune.l1_unstructured(n[0], "weight", 0.5)


ANIMALS: dict[str, Animal] = {
    "mlp": Animal(_mlp, is_chain=True),
    "nested": Animal(lambda: nn.Sequential(_mlp(), nn.Tanh(), nn.Linear(2, 1)), is_chain=True),
    "in-place activation": Animal(lambda: _mlp(nn.ELU(inplace=True)), is_chain=True),
    "lazy layers, materialised": Animal(_lazy, is_chain=True),
    "frozen layer": Animal(lambda: _changed(_with_frozen_layer), is_chain=True),
    "shared block in a list": Animal(_shared_in_list),
    "shared layer": Animal(_shared_in_sequential),
    "shared activation": Animal(lambda: nn.Sequential(nn.Linear(3, 3), a := nn.Tanh(), nn.Linear(3, 2), a)),
    "tied weights": Animal(_tied),
    "tied transposed": Animal(_autoencoder),
    "PReLU": Animal(lambda: _mlp(nn.PReLU())),
    "PReLU by channel": Animal(lambda: _mlp(nn.PReLU(4))),
    "softmax": Animal(lambda: _mlp(nn.Softmax(dim=1))),
    "GLU": Animal(lambda: nn.Sequential(nn.Linear(3, 4), nn.GLU(), nn.Linear(2, 2))),
    "residual": Animal(lambda: Applied(lambda self, x: x + torch.tanh(self.layer(x)), layer=nn.Linear(3, 3))),
    "bilinear": Animal(lambda: Applied(lambda self, x: self.layer(x, x), layer=nn.Bilinear(3, 3, 2))),
    "BatchNorm, evaluated": Animal(lambda: _mlp(nn.BatchNorm1d(4)).eval()),
    "BatchNorm, training": Animal(lambda: _mlp(nn.BatchNorm1d(4), nn.Tanh()), fixed=False),
    "BatchNorm of the batch": Animal(
        lambda: _mlp(nn.BatchNorm1d(4, track_running_stats=False), nn.Tanh()), by_row=False
    ),
    "LayerNorm": Animal(lambda: _mlp(nn.LayerNorm(4), nn.Tanh())),
    "RMSNorm": Animal(lambda: _mlp(nn.RMSNorm(4), nn.Tanh())),
    "GroupNorm": Animal(
        lambda: nn.Sequential(
            nn.Conv1d(2, 4, 3), nn.GroupNorm(2, 4), nn.Tanh(), nn.Flatten(), nn.Linear(20, 1)
        ),
        inputs="series",
    ),
    "InstanceNorm": Animal(
        lambda: nn.Sequential(
            nn.Conv1d(2, 2, 3), nn.InstanceNorm1d(2, affine=True), nn.Tanh(), nn.Flatten(), nn.Linear(10, 1)
        ),
        inputs="series",
    ),
    "LocalResponseNorm": Animal(
        lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.LocalResponseNorm(2), nn.Flatten(), nn.Linear(27, 1)),
        inputs="images",
    ),
    "BatchNorm2d, evaluated": Animal(
        lambda: nn.Sequential(
            nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2), nn.GELU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 2)
        ).eval(),
        inputs="images",
    ),
    "attention": Animal(lambda: Applied(_attention, project=nn.Linear(3, 6)), inputs="sequences"),
    "multi-head attention": Animal(lambda: _embedded(_multihead()).eval(), inputs="sequences"),
    "transformer layer, evaluated": Animal(
        lambda: nn.Sequential(
            nn.Linear(3, 2),
            nn.TransformerEncoderLayer(2, 1, 3, batch_first=True),
            nn.Flatten(),
            nn.Linear(8, 1),
        ).eval(),
        inputs="sequences",
    ),
    "transformer layer, training": Animal(
        lambda: nn.Sequential(
            nn.Linear(3, 2),
            nn.TransformerEncoderLayer(2, 1, 3, batch_first=True),
            nn.Flatten(),
            nn.Linear(8, 1),
        ),
        inputs="sequences",
        fixed=False,
    ),
    "conv1d": Animal(
        lambda: nn.Sequential(nn.Conv1d(2, 2, 3), nn.Tanh(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(4, 2)),
        inputs="series",
    ),
    "conv2d": Animal(
        lambda: nn.Sequential(nn.Conv2d(2, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(18, 1)), inputs="images"
    ),
    "RNN": Animal(lambda: _recurrent(nn.RNN), inputs="sequences"),
    "GRU": Animal(lambda: _recurrent(nn.GRU), inputs="sequences"),
    "LSTM": Animal(lambda: _recurrent(nn.LSTM), inputs="sequences"),
    "embedding": Animal(
        lambda: nn.Sequential(nn.Embedding(5, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2)), inputs="tokens"
    ),
    "complex buffer": Animal(
        lambda: Applied(_complex, layer=nn.Linear(3, 2), phase=torch.randn(2, dtype=torch.complex128))
    ),
    "integer buffer": Animal(
        lambda: Applied(
            lambda self, x: self.layer(x)[:, self.order] ** 2,
            layer=nn.Linear(3, 2),
            order=torch.tensor([1, 0]),
        )
    ),
    "forward hook": Animal(lambda: _changed(lambda n: n[0].register_forward_hook(lambda m, i, o: o**2))),
    "pre-hook": Animal(lambda: _changed(lambda n: n[2].register_forward_pre_hook(lambda m, i: (i[0] ** 3,)))),
    "backward hook": Animal(
        lambda: _changed(lambda n: n[2].register_full_backward_hook(lambda m, i, o: None))
    ),
    "gradient clipped by a hook": Animal(
        lambda: _changed(lambda n: n[0].weight.register_hook(lambda g: g.clamp(-1e-3, 1e-3)))
    ),
    "hook on a tensor": Animal(
        lambda: Applied(
            lambda self, x: (
                h := torch.tanh(self.layer(x)),
                h.register_hook(lambda g: g.clone()) if h.requires_grad else None,
            )[0],
            layer=nn.Linear(3, 2),
        )
    ),
    "weight norm": Animal(
        lambda: _changed(lambda n: parametrizations.weight_norm(n[0])), plain=_plain_weight_norm
    ),
    "weight norm, old": Animal(_old_weight_norm, plain=_plain_weight_norm),
    "orthogonal": Animal(lambda: _changed(lambda n: parametrizations.orthogonal(n[0]))),
    "spectral norm, evaluated": Animal(
        lambda: _changed(lambda n: parametrizations.spectral_norm(n[0])).eval()
    ),
    "spectral norm, training": Animal(
        lambda: _changed(lambda n: parametrizations.spectral_norm(n[0])), fixed=False
    ),
    "spectral norm, old, evaluated": Animal(
        lambda: _changed(lambda n: torch.nn.utils.spectral_norm(n[0])).eval()
    ),
    "spectral norm, old, training": Animal(
        lambda: _changed(lambda n: torch.nn.utils.spectral_norm(n[0])), fixed=False
    ),
    "pruned": Animal(lambda: _changed(_prune)),
    "counter": Animal(lambda: Applied(_counting, layer=nn.Linear(3, 2), calls=0)),
    "keeps its activations": Animal(lambda: Applied(_keeping, layer=nn.Linear(3, 2), kept=[])),
    "moving average, training": Animal(
        lambda: Applied(_averaging, layer=nn.Linear(3, 2), mean=torch.zeros(2)), fixed=False
    ),
    "decays at each call": Animal(
        lambda: Applied(_decaying, layer=nn.Linear(3, 2), state={"scale": 1.0}), fixed=False
    ),
    "dropout, training": Animal(lambda: _mlp(nn.Dropout(0.5)), fixed=False),
    "dropout, evaluated": Animal(lambda: _mlp(nn.Tanh(), nn.Dropout(0.5)).eval()),
    "dropout always": Animal(
        lambda: Applied(
            lambda self, x: F.dropout(self.layer(x), 0.5, training=True), layer=nn.Linear(3, 2)
        ).eval(),
        fixed=False,
    ),
    "draws by random": Animal(
        lambda: Applied(lambda self, x: self.layer(x) * random.random(), layer=nn.Linear(3, 2)), fixed=False
    ),
    "draws by numpy": Animal(
        lambda: Applied(lambda self, x: self.layer(x) * np.random.rand(), layer=nn.Linear(3, 2)),  # noqa: NPY002
        fixed=False,
    ),
    "draws from its own generator": Animal(
        lambda: Applied(
            lambda self, x: self.layer(x) + torch.randn(2, generator=self.generator),
            layer=nn.Linear(3, 2),
            generator=torch.Generator().manual_seed(0),
        ),
        fixed=False,
    ),
    "item": Animal(lambda: Applied(_item, layer=nn.Linear(3, 2))),
    "branch on data": Animal(lambda: Applied(_branch, layer=nn.Linear(3, 2))),
    "branch on weights": Animal(
        lambda: Applied(
            lambda self, x: self.layer(x).tanh() if self.layer.weight.norm() > 0.1 else self.layer(x),
            layer=nn.Linear(3, 2),
        )
    ),
    "writes into zeros": Animal(lambda: Applied(_zeros, layer=nn.Linear(3, 2))),
    "boolean mask": Animal(lambda: Applied(_masked, layer=nn.Linear(3, 2))),
    "own autograd function": Animal(
        lambda: Applied(lambda self, x: _Cube.apply(self.layer(x)), layer=nn.Linear(3, 2))
    ),
    "gradient inside": Animal(
        lambda: Applied(_force, energy=nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)))
    ),
    "checkpointed": Animal(
        lambda: Applied(
            lambda self, x: self.out(checkpoint(self.front, x, use_reentrant=False)),
            front=nn.Sequential(nn.Linear(3, 3), nn.Tanh()),
            out=nn.Linear(3, 2),
        )
    ),
    "stopped gradient": Animal(
        lambda: Applied(
            lambda self, x: torch.tanh(self.layer(x)) * self.layer(x).detach(), layer=nn.Linear(3, 2)
        )
    ),
    "linear solve": Animal(
        lambda: Applied(
            lambda self, x: (
                torch.linalg.solve(
                    torch.eye(3, dtype=x.dtype) + 0.1 * self.layer.weight, torch.tanh(self.layer(x)).T
                ).T
            ),
            layer=nn.Linear(3, 3),
        )
    ),
    "list of parameters": Animal(
        lambda: Applied(
            lambda self, x: torch.tanh(x @ self.weights[0]) @ self.weights[1],
            weights=nn.ParameterList([torch.randn(3, 2), torch.randn(2, 2)]),
        )
    ),
    "scalar parameter": Animal(
        lambda: Applied(
            lambda self, x: self.gain * torch.tanh(self.layer(x)),
            layer=nn.Linear(3, 2),
            gain=nn.Parameter(torch.tensor(1.5)),
        )
    ),
    "unused parameter": Animal(
        lambda: Applied(
            lambda self, x: torch.tanh(self.layer(x)), layer=nn.Linear(3, 2), rest=nn.Linear(2, 1)
        )
    ),
    "squeezed": Animal(
        lambda: Applied(lambda self, x: self.layer(x).squeeze().tanh(), layer=nn.Linear(3, 1))
    ),
    "sequence of outputs": Animal(
        lambda: nn.Sequential(nn.Linear(3, 2), nn.Tanh()), inputs="sequences", by_row=False, is_chain=True
    ),
    "holds a lock": Animal(
        lambda: Applied(
            lambda self, x: torch.tanh(self.layer(x)), layer=nn.Linear(3, 2), lock=threading.Lock()
        )
    ),
    "returns a tuple": Animal(
        lambda: Applied(lambda self, x: (self.layer(x), x), layer=nn.Linear(3, 2)), fixed=False
    ),
    "half precision": Animal(lambda: _mlp().bfloat16(), fixed=False),
}
