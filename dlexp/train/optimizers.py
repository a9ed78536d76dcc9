"""What an optimizer is set to, and the torch optimizer that these settings make for one network."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dlexp.config.objects import locate

GRADIENT_DESCENT = ("sgd", "gradient_descent")
ADAPTIVE = ("adam", "adamw")

OptimizerState = dict[str, dict[str, Tensor]]
"""What an optimizer remembers of a network's parameters (moments, steps), by the parameters' names."""


@dataclass(frozen=True)
class OptimizerSettings:
    """The settings of one network's optimizer.

    Attributes:
        name: ``sgd``, ``gradient_descent`` (which refuses batches), ``adam`` or ``adamw``; None for a class
            of ``torch.optim`` or of one's own, ``target``.
        lr: the learning rate, before the schedule and the layers' factors.
        momentum, nesterov: of SGD.
        betas: of Adam.
        weight_decay: coupled (SGD, Adam) or decoupled (AdamW).
        target, options: the path of another class, and its arguments beside parameters, ``lr`` and
            ``weight_decay``.
    """

    name: str | None
    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    target: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "OptimizerSettings":
        """Return the settings that plain data hold; None stands for a default."""
        given = {k: v for k, v in settings.items() if v is not None and k != "schedule"}
        target = given.pop("_target_", None)
        betas: Sequence[float] = given.pop("betas", cls.betas)
        name = None if target else given.pop("name")
        given.pop("name", None)
        return cls(name, target=target, betas=(float(betas[0]), float(betas[1])), **given)

    @property
    def is_gradient_descent(self) -> bool:
        """Whether all weights move along the gradient, by one rate but for the layers' factors."""
        return self.name in GRADIENT_DESCENT


def learning_rate_factors(network: nn.Module, settings: OptimizerSettings) -> dict[str, float]:
    """Return what multiplies the learning rate (mup), by parameter name; 1 where a name is missing."""
    get_factors = getattr(network, "learning_rate_factors", None)
    return dict(get_factors(settings.name)) if get_factors is not None else {}


def decay_for_factor(settings: OptimizerSettings, factor: float) -> float:
    """Return the weight decay where ``factor`` multiplies the learning rate.

    AdamW shrinks weights by lr x weight_decay in each step, which is to be the same at every width (Yang et
    al. 2022, appendix B.3, on decoupled weight decay): the factor is taken out again. Coupled decay is part
    of the gradient and follows its rate.
    """
    return settings.weight_decay / factor if settings.name == "adamw" else settings.weight_decay


def make_optimizer(network: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Return a torch optimizer over the trainable parameters, one group for each learning-rate factor.

    >>> optimizer = make_optimizer(nn.Linear(2, 1), OptimizerSettings("sgd", lr=0.1, momentum=0.9))
    >>> optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]
    (0.1, 0.9)
    """
    trainable = {name: p for name, p in network.named_parameters() if p.requires_grad}
    return optimizer_over(trainable, settings, learning_rate_factors(network, settings))


def optimizer_over(
    parameters: Mapping[str, nn.Parameter], settings: OptimizerSettings, factors: Mapping[str, float]
) -> torch.optim.Optimizer:
    """Return a torch optimizer over named parameters, with the factors of their learning rates."""
    by_factor: dict[float, list[nn.Parameter]] = defaultdict(list)
    for name, parameter in parameters.items():
        by_factor[factors.get(name, 1.0)].append(parameter)
    groups = [
        {"params": p, "lr": settings.lr * factor, "weight_decay": decay_for_factor(settings, factor)}
        for factor, p in by_factor.items()
    ]
    if settings.target is not None:
        optimizer: torch.optim.Optimizer = locate("optimizer", settings.target)(
            groups, lr=settings.lr, weight_decay=settings.weight_decay, **settings.options
        )
        return optimizer
    # Fused: a third of a small network's step is otherwise spent in the optimizer.
    if settings.is_gradient_descent:
        return torch.optim.SGD(
            groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.nesterov, fused=True
        )
    adam = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return adam(groups, lr=settings.lr, betas=settings.betas, fused=True)


def state_by_name(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> OptimizerState:
    """Return a copy of what the optimizer remembers of each parameter."""
    return {
        name: {k: v.detach().clone() for k, v in optimizer.state[p].items() if isinstance(v, Tensor)}
        for name, p in parameters.items()
        if p in optimizer.state
    }


def set_state_by_name(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    state: Mapping[str, Mapping[str, Tensor]],
) -> None:
    """Let an optimizer go on from what another one remembered of parameters of the same names."""
    for name, own in state.items():
        parameter = parameters[name]
        optimizer.state[parameter] = {
            # Laid out like the parameter: the fused kernels read both as one stretch of memory.
            key: torch.empty_like(parameter).copy_(v) if v.shape == parameter.shape else v.detach().clone()
            for key, v in own.items()
        }


def clip_gradients(network: nn.Module, clip: tuple[float, str] | None) -> None:
    """Clip a network's gradient: ``(limit, algorithm)`` to this ``norm``, or each entry to this ``value``."""
    if clip is None:
        return
    limit, algorithm = clip
    if algorithm == "value":
        nn.utils.clip_grad_value_(network.parameters(), limit)
    else:
        nn.utils.clip_grad_norm_(network.parameters(), limit)
