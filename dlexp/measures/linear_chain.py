"""Recognise a chain of linear layers and elementwise activations, whose structure some measures exploit."""

import torch
from torch import Tensor, nn

_ELEMENTWISE = (
    nn.CELU,
    nn.ELU,
    nn.GELU,
    nn.Hardshrink,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardtanh,
    nn.Identity,
    nn.LeakyReLU,
    nn.LogSigmoid,
    nn.Mish,
    nn.ReLU,
    nn.ReLU6,
    nn.SELU,
    nn.Sigmoid,
    nn.SiLU,
    nn.Softplus,
    nn.Softshrink,
    nn.Softsign,
    nn.Tanh,
    nn.Tanhshrink,
    nn.Threshold,
)


def linear_chain(model: nn.Module) -> list[nn.Module] | None:
    """Return the linear layers and elementwise activations that ``model`` applies in turn, or None.

    A chain is one linear layer (see :func:`is_linear`) or an ``nn.Sequential``, nested or not, of linear
    layers and activations; modules with forward hooks, and containers with a forward of their own, do not
    count.
    """
    if model._forward_hooks or model._forward_pre_hooks:
        return None
    if is_linear(model) or is_elementwise(model):
        return [model]
    if not isinstance(model, nn.Sequential) or type(model).forward is not nn.Sequential.forward:
        return None
    modules: list[nn.Module] = []
    for child in model:
        part = linear_chain(child)
        if part is None:
            return None
        modules += part
    return modules


def require_linear_chain(model: nn.Module, argument: str) -> list[nn.Module]:
    """Return :func:`linear_chain` of ``model``.

    Raises ``ValueError``, naming ``argument``, where the model is no such chain, has no linear layer or uses
    a layer twice.
    """
    modules = linear_chain(model)
    if modules is None or not any(is_linear(module) for module in modules):
        raise ValueError(
            f"{argument} ({type(model).__name__}) must be a chain (nn.Sequential) of linear layers and "
            "elementwise activations"
        )
    parameters = [id(p) for module in modules for p in module.parameters()]
    if len(set(parameters)) < len(parameters):
        raise ValueError(
            f"{argument} ({type(model).__name__}) uses a layer twice; each layer may be used once"
        )
    return modules


def linear_layers(modules: list[nn.Module]) -> list[nn.Linear]:
    """Return the linear layers among ``modules``, in order."""
    return [module for module in modules if isinstance(module, nn.Linear)]


def is_linear(module: nn.Module) -> bool:
    """Whether the module computes ``weight_scale * x W^T + bias_scale * b`` (see :func:`scales`).

    True for ``nn.Linear`` itself and for subclasses of it that carry the two multipliers.
    """
    if type(module) is nn.Linear:
        return True
    return isinstance(module, nn.Linear) and hasattr(module, "weight_scale") and hasattr(module, "bias_scale")


def scales(layer: nn.Linear) -> tuple[float, float]:
    """Return the constants that multiply the layer's weight and bias (1 for an ordinary ``nn.Linear``)."""
    return float(getattr(layer, "weight_scale", 1.0)), float(getattr(layer, "bias_scale", 1.0))


def is_elementwise(module: nn.Module) -> bool:
    """Whether the module applies one function to every entry of its input, whatever the input's shape.

    torch's activations are known by type. Any other module without parameters, buffers and children is tried
    on fixed numbers in three shapes, which reveals whatever mixes, drops or treats entries by position.
    """
    if type(module) in _ELEMENTWISE:
        return True
    if (
        any(True for _ in module.parameters())
        or any(True for _ in module.buffers())
        or len(list(module.children()))
    ):
        return False
    if module._forward_hooks or module._forward_pre_hooks or type(module) in _NOT_ELEMENTWISE:
        return False
    numbers = 3 * torch.sin(1.7 * torch.arange(24, dtype=torch.float64)).reshape(4, 6)
    try:
        plain = module(numbers.clone())
        others = [
            module(numbers.reshape(24, 1).clone()).reshape(4, 6),
            module(numbers.reshape(1, 2, 12).clone()).reshape(4, 6),
            module(numbers.T.clone()).T,
        ]
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError):
        return False
    return isinstance(plain, Tensor) and all(
        plain.shape == other.shape and torch.allclose(plain, other, rtol=1e-12, atol=1e-12)
        for other in others
    )


# Elementwise in evaluation mode only: they would draw random numbers during the trial.
_NOT_ELEMENTWISE = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
    nn.RReLU,
)
