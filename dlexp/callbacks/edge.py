"""Where gradient descent becomes unstable, for the optimizer that a network is trained with."""

from typing import Any

from dlexp.measures.sharpness import relative_to_edge
from dlexp.training.learner import Learner

GRADIENT_DESCENT = ("sgd", "gradient_descent")


def reason_without_edge(module: Learner) -> str | None:
    """Return why the optimizer has no edge at 2 / lr, in one sentence, or None if it has."""
    name = module.optimizer_settings["name"]
    if name not in GRADIENT_DESCENT:
        return f"optimizer.name={name} scales the step of each weight; the edge 2 / lr is gradient descent's"
    if has_learning_rates_by_layer(module):
        return "the learning rate differs between layers (model.parametrization=mup)"
    return None


def has_learning_rates_by_layer(module: Learner) -> bool:
    """Whether the network asks for a learning rate that is not the same in all layers."""
    get_factors = getattr(module.network, "learning_rate_factors", None)
    factors = get_factors(module.optimizer_settings["name"]) if get_factors is not None else {}
    return any(factor != 1 for factor in factors.values())


def learning_rate(module: Learner) -> float:
    """Return the learning rate of the last step taken (of the first, before any), without layers' factors."""
    settings: Any = module.optimizer_settings
    return float(settings["lr"]) * module.schedule.factor(max(module.step - 1, 0))


def edge_of_stability(module: Learner) -> float:
    """Return the lambda_max of the loss above which gradient descent is unstable.

    ``2 (1 + momentum) / lr - weight_decay`` (Cohen et al. 2021): weight decay adds its strength to every
    eigenvalue of what is descended.
    """
    momentum, weight_decay = _momentum_and_decay(module)
    return 2 * (1 + momentum) / learning_rate(module) - weight_decay


def sharpness_relative_to_edge(module: Learner, lambda_max: float) -> float:
    """Return ``(lambda_max + weight_decay) lr / (2 (1 + momentum))``: 1 at the edge of stability."""
    momentum, weight_decay = _momentum_and_decay(module)
    return relative_to_edge(lambda_max + weight_decay, learning_rate(module), momentum=momentum)


def _momentum_and_decay(module: Learner) -> tuple[float, float]:
    settings: Any = module.optimizer_settings
    return float(settings.get("momentum") or 0.0), float(settings.get("weight_decay") or 0.0)
