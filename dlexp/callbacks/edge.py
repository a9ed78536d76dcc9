"""Where gradient descent becomes unstable, for the optimizer that a network is trained with."""

from dlexp.measures.sharpness import relative_to_edge
from dlexp.train.member import Member
from dlexp.train.optimizers import learning_rate_factors


def reason_without_edge(module: Member) -> str | None:
    """Return why the optimizer has no edge at 2 / lr, in one sentence, or None if it has."""
    settings = module.optimizer_settings
    if not settings.is_gradient_descent:
        name = settings.name or settings.target
        return f"optimizer.name={name} scales the step of each weight; the edge 2 / lr is gradient descent's"
    if settings.nesterov:
        return "optimizer.nesterov=true has another edge"
    if has_learning_rates_by_layer(module):
        return "the learning rate differs between layers (model.parametrization=mup)"
    return None


def has_learning_rates_by_layer(module: Member) -> bool:
    """Whether the network asks for a learning rate that is not the same in all layers."""
    factors = learning_rate_factors(module.network, module.optimizer_settings)
    return any(factor != 1 for factor in factors.values())


def learning_rate(module: Member) -> float:
    """Return the learning rate of the last step taken (of the first, before any), without layers' factors."""
    return module.optimizer_settings.lr * module.schedule.factor(max(module.step - 1, 0))


def edge_of_stability(module: Member) -> float:
    """Return the lambda_max of the loss above which gradient descent is unstable.

    ``2 (1 + momentum) / lr - weight_decay`` (Cohen et al. 2021): weight decay adds its strength to every
    eigenvalue of what is descended.
    """
    settings = module.optimizer_settings
    return 2 * (1 + settings.momentum) / learning_rate(module) - settings.weight_decay


def sharpness_relative_to_edge(module: Member, lambda_max: float) -> float:
    """Return ``(lambda_max + weight_decay) lr / (2 (1 + momentum))``: 1 at the edge of stability."""
    settings = module.optimizer_settings
    curvature = lambda_max + settings.weight_decay
    return relative_to_edge(curvature, learning_rate(module), momentum=settings.momentum)
