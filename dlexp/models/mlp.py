"""The MLP family: two-layer, wide and deep networks are configurations of one class."""

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from dlexp.models.activations import ACTIVATIONS
from dlexp.models.layers import ScaledLinear


class MLP(nn.Sequential):
    """A fully connected network ``x -> readout(phi(... phi(hidden_1(x))))`` with outputs (N, output_dim).

    ``depth`` counts hidden layers: 1 is the two-layer network, 0 a linear map. ``width`` is one number for
    all hidden layers or one for each. ``readout_bias`` None means as ``bias``.

    Parametrisations (fan_in is a layer's number of inputs, n its width, n0 = ``base_width``):

    - ``standard``: ``W x + b``. Initialisation ``pytorch``: W and b uniform in +-1/sqrt(fan_in), what
      ``nn.Linear`` does; ``normal``: W ~ N(0, weight_std^2 / fan_in), b ~ N(0, bias_std^2);
      ``xavier``: W ~ N(0, weight_std^2 * 2 / (fan_in + fan_out)), b ~ N(0, bias_std^2).
    - ``ntk`` (Jacot et al. 2018): ``weight_std / sqrt(fan_in) W x + bias_std b`` with W ~ N(0, 1) and b zero,
      or b ~ N(0, 1) with ``random_bias``. Training moves each weight by O(1/sqrt(n)).
    - ``mup`` (Yang et al. 2022, Table 8): W of the hidden layers as ``normal``; the readout W ~ N(0,
      readout_weight_std^2 / n0) with the multiplier n0 / n; learning rates by layer, see
      :meth:`learning_rate_factors`. At width n0 it is the standard parametrisation.

    ``weight_std`` None means sqrt(2) for relu (variance-preserving, He et al. 2015) and 1 otherwise.
    ``generator`` draws the weights; None is torch's global generator, as for ``nn.Linear``.

    Raises ``ValueError`` for an unknown activation, parametrisation or initialisation, and for an
    initialisation that the parametrisation does not have.
    """

    def __init__(
        self,
        *,
        input_dim: int,
        width: int | Sequence[int],
        depth: int,
        output_dim: int = 1,
        activation: str = "relu",
        bias: bool = True,
        readout_bias: bool | None = None,
        parametrization: str = "standard",
        initialization: str | None = None,
        weight_std: float | None = None,
        bias_std: float = 0.0,
        random_bias: bool = False,
        readout_weight_std: float = 1.0,
        base_width: int = 64,
        generator: torch.Generator | None = None,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r} is unknown; allowed: {', '.join(ACTIVATIONS)}")
        widths = [width] * depth if isinstance(width, int) else [int(w) for w in width]
        if len(widths) != depth:
            raise ValueError(f"width lists {len(widths)} layers but depth={depth}")
        if weight_std is None:
            weight_std = math.sqrt(2) if activation == "relu" else 1.0
        if parametrization in ("ntk", "mup") and initialization not in (None, "normal"):
            raise ValueError(
                f"initialization={initialization!r} is not allowed: {parametrization} has normal alone"
            )
        sizes = [input_dim, *widths, output_dim]
        modules: OrderedDict[str, nn.Module] = OrderedDict()
        for index in range(depth):
            modules[f"hidden_{index + 1}"] = ScaledLinear(sizes[index], sizes[index + 1], bias=bias)
            modules[f"activation_{index + 1}"] = ACTIVATIONS[activation].module()
        has_readout_bias = bias if readout_bias is None else readout_bias
        modules["readout"] = ScaledLinear(sizes[-2], output_dim, bias=has_readout_bias)
        super().__init__(modules)
        self.parametrization = parametrization
        self.base_width = base_width
        for layer in self.linear_layers():
            is_readout = layer is self.readout
            std = readout_weight_std if is_readout else weight_std
            if parametrization == "standard":
                _initialize_standard(layer, initialization or "pytorch", std, bias_std, generator)
            elif parametrization == "ntk":
                _initialize_ntk(layer, std, bias_std, random_bias, generator)
            elif parametrization == "mup":
                _initialize_mup(layer, is_readout and depth > 0, std, bias_std, base_width, generator)
            else:
                raise ValueError(
                    f"parametrization={parametrization!r} is unknown; allowed: standard, ntk, mup"
                )

    def linear_layers(self) -> list[ScaledLinear]:
        """Return the linear layers from input to readout."""
        return [module for module in self if isinstance(module, ScaledLinear)]

    def learning_rate_factors(self, optimizer: str) -> dict[str, float]:
        """Return, by parameter name, what multiplies the learning rate (1 where a name is missing).

        Only mup has factors (Yang et al. 2022, Table 8, with widths relative to ``base_width``, m = n / n0):
        SGD: m for input weights, hidden biases and readout weights, 1 for hidden weights; Adam: 1 / m for
        hidden weights, 1 otherwise.
        """
        if self.parametrization != "mup":
            return {}
        factors: dict[str, float] = {}
        adam = optimizer in ("adam", "adamw")
        layers = self.linear_layers()
        for (name, module), index in zip(
            ((n, m) for n, m in self.named_children() if isinstance(m, ScaledLinear)),
            range(len(layers)),
            strict=True,
        ):
            first, last = index == 0, index == len(layers) - 1
            if first and last:
                continue
            fan_in, fan_out = module.in_features / self.base_width, module.out_features / self.base_width
            if first:
                factors[f"{name}.weight"] = 1.0 if adam else fan_out
            elif last:
                factors[f"{name}.weight"] = 1.0 if adam else fan_in
            else:
                factors[f"{name}.weight"] = 1.0 / fan_in if adam else 1.0
            if not last and module.bias is not None:
                factors[f"{name}.bias"] = 1.0 if adam else fan_out
        return factors


def _normal_(tensor: torch.Tensor, std: float, generator: torch.Generator | None) -> None:
    # Drawn in float64 whatever the default type: float32 and float64 runs then start from the same point.
    draw = torch.randn(tensor.shape, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        tensor.copy_(std * draw)


def _uniform_(tensor: torch.Tensor, bound: float, generator: torch.Generator | None) -> None:
    draw = torch.rand(tensor.shape, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        tensor.copy_(bound * (2 * draw - 1))


def _initialize_standard(
    layer: ScaledLinear, initialization: str, std: float, bias_std: float, generator: torch.Generator | None
) -> None:
    fan_in, fan_out = layer.in_features, layer.out_features
    if initialization == "pytorch":
        _uniform_(layer.weight, 1 / math.sqrt(fan_in), generator)
        if layer.bias is not None:
            _uniform_(layer.bias, 1 / math.sqrt(fan_in), generator)
        return
    if initialization == "normal":
        _normal_(layer.weight, std / math.sqrt(fan_in), generator)
    elif initialization == "xavier":
        _normal_(layer.weight, std * math.sqrt(2 / (fan_in + fan_out)), generator)
    else:
        raise ValueError(f"initialization={initialization!r} is unknown; allowed: pytorch, normal, xavier")
    if layer.bias is not None:
        _normal_(layer.bias, bias_std, generator)


def _initialize_ntk(
    layer: ScaledLinear, std: float, bias_std: float, random_bias: bool, generator: torch.Generator | None
) -> None:
    layer.weight_scale = std / math.sqrt(layer.in_features)
    layer.bias_scale = bias_std
    _normal_(layer.weight, 1.0, generator)
    if layer.bias is not None:
        _normal_(layer.bias, 1.0 if random_bias else 0.0, generator)


def _initialize_mup(
    layer: ScaledLinear,
    is_readout: bool,
    std: float,
    bias_std: float,
    base_width: int,
    generator: torch.Generator | None,
) -> None:
    if is_readout:
        layer.weight_scale = base_width / layer.in_features
        _normal_(layer.weight, std / math.sqrt(base_width), generator)
    else:
        _normal_(layer.weight, std / math.sqrt(layer.in_features), generator)
    if layer.bias is not None:
        _normal_(layer.bias, bias_std, generator)
