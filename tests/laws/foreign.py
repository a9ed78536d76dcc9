"""What users bring: callbacks and networks that dlexp has not seen, for the laws to train."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning import Callback
from torch import Tensor, nn

from dlexp.callbacks.base import MeasureCallback
from dlexp.models.layers import ScaledLinear


class Raising(MeasureCallback):
    """Raises after ``step`` steps in networks whose learning rate is below ``below``."""

    name = "raising"

    def __init__(self, *, step: int, below: float, **schedule: Any) -> None:
        super().__init__(**schedule)
        self.step, self.below = step, below

    def measure(self, module: Any) -> Mapping[str, float]:
        """Return a number of the network, or raise."""
        if module.step == self.step and module.optimizer_settings.lr < self.below:
            raise RuntimeError(f"not at step {self.step}")
        return {"raising/largest": max(float(p.detach().abs().max()) for p in module.network.parameters())}


class Restarting(MeasureCallback):
    """Lets networks whose learning rate is below ``below`` begin anew after ``step`` steps, half masked."""

    name = "restarting"
    changes_network = True

    def __init__(self, *, step: int, below: float, **schedule: Any) -> None:
        super().__init__(**schedule)
        self.step, self.below = step, below

    def begin(self, module: Any) -> None:
        """Keep the initial weights."""
        self.initial = {name: value.clone() for name, value in module.network.state_dict().items()}

    def measure(self, module: Any) -> Mapping[str, float]:
        """Return a number of the network, which may begin anew then."""
        largest = max(float(p.detach().abs().max()) for p in module.network.parameters())
        if module.step == self.step and module.optimizer_settings.lr < self.below:
            weights = {name: p for name, p in module.network.named_parameters() if p.ndim == 2}
            masks = {name: (torch.arange(p.numel()) % 2).view(p.shape).to(p) for name, p in weights.items()}
            module.restart(self.initial, masks)
        return {"restarting/largest": largest}


class Secretive(MeasureCallback):
    """Keeps what cannot be looked into."""

    name = "secretive"

    def measure(self, module: Any) -> Mapping[str, float]:
        """Return nothing."""
        self.kept = lambda: 0
        return {}


class Plain(Callback):
    """One that has nothing of dlexp's."""

    def on_fit_end(self, trainer: Any, module: Any) -> None:
        """Do nothing."""


class Lazy(torch.optim.SGD):
    """An optimizer that may remember anything."""


class DoubledTanh(nn.Tanh):
    """Not what it derives from."""

    def forward(self, x: Tensor) -> Tensor:
        """Return 2 tanh(x)."""
        return 2 * super().forward(x)


class Symmetric(nn.Module):
    """A parametrisation: what is trained is not what acts."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight, its columns centred."""
        return weight - weight.mean(dim=1, keepdim=True)


def _chain(
    between: nn.Module, *, generator: torch.Generator, input_dim: int, output_dim: int, width: int = 6
) -> nn.Sequential:
    """Return two of dlexp's linear layers with something between them, drawn from ``generator``."""
    network = nn.Sequential(ScaledLinear(input_dim, width), between, ScaledLinear(width, output_dim))
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
    return network


def softmax(*, bias: bool, **shape: Any) -> nn.Module:
    """Return a network whose hidden units sum to 1."""
    return _chain(nn.Softmax(dim=-1), **shape)


def layer_norm(*, bias: bool, width: int, **shape: Any) -> nn.Module:
    """Return a network whose hidden units are normalised."""
    return _chain(nn.LayerNorm(width, elementwise_affine=False), width=width, **shape)


def prelu(*, bias: bool, **shape: Any) -> nn.Module:
    """Return a network whose activation is trained too."""
    return _chain(nn.PReLU(), **shape)


def subclass(*, bias: bool, **shape: Any) -> nn.Module:
    """Return a network whose activation derives from one that is listed."""
    return _chain(DoubledTanh(), **shape)


def hooked(*, bias: bool, **shape: Any) -> nn.Module:
    """Return a network with a hook that changes what a layer returns."""
    network = _chain(nn.Tanh(), **shape)
    network[0].register_forward_hook(lambda module, arguments, output: 3 * output)
    return network


def parametrized(*, bias: bool, **shape: Any) -> nn.Module:
    """Return a network with a weight that is a function of what is trained."""
    network = _chain(nn.Tanh(), **shape)
    nn.utils.parametrize.register_parametrization(network[0], "weight", Symmetric())
    return network


def frozen(*, bias: bool, **shape: Any) -> nn.Module:
    """Return a network with a layer that is not trained."""
    network = _chain(nn.Tanh(), **shape)
    network[0].requires_grad_(False)
    return network


def shared(*, bias: bool, width: int, **shape: Any) -> nn.Module:
    """Return a network that uses one layer twice."""
    network = _chain(nn.Tanh(), width=width, **shape)
    square = ScaledLinear(width, width)
    with torch.no_grad():
        square.weight.copy_(torch.eye(width) / 2)
    return nn.Sequential(network[0], nn.Tanh(), square, nn.Tanh(), square, nn.Tanh(), network[2])


def dropout(*, bias: bool, **shape: Any) -> nn.Module:
    """Return a network that draws from the global generator while it trains."""
    return _chain(nn.Dropout(0.3), **shape)


def heedless(*, input_dim: int, output_dim: int, **_: Any) -> nn.Module:
    """Return a network that is drawn from the global generator, whatever it is given."""
    return nn.Sequential(nn.Linear(input_dim, 6), nn.Tanh(), nn.Linear(6, output_dim))


class Functional(nn.Module):
    """A network that draws from the global generator by a function, unseen by any look at its modules."""

    def __init__(self, *, bias: bool, **shape: Any) -> None:
        super().__init__()
        self.chain = _chain(nn.Tanh(), **shape)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs, some of them dropped while it trains."""
        return F.dropout(self.chain(x), 0.2, self.training)


class Annealed(nn.Module):
    """A network that changes the rate of a part of torch's as it trains."""

    def __init__(self, *, bias: bool, **shape: Any) -> None:
        super().__init__()
        self.chain, self.dropout = _chain(nn.Tanh(), **shape), nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs, more of them dropped with every step."""
        self.dropout.p += 0.01 * self.training
        return self.dropout(self.chain(x))


class _Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x / self.calls


def scripted(*, bias: bool, **shape: Any) -> nn.Module:
    """Return a network with a part in TorchScript, which counts where Python does not see it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is deprecated is still in use
        return nn.Sequential(_chain(nn.Tanh(), **shape), torch.jit.script(_Counting()))


def fourth_power(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return a loss of each row that dlexp does not have."""
    return (outputs - targets).pow(4).mean(dim=-1)


def largest_weight(member: Any) -> float:
    """Return a number of a member's network."""
    return max(float(p.detach().abs().max()) for p in member.network.parameters())
