"""Where gradient descent becomes unstable, for the optimizer that a network is trained with."""

import math
from typing import Any

from dlexp.measures.sharpness import relative_to_edge
from dlexp.train.member import Member
from dlexp.train.optimizers import learning_rate_factors

RELATIVE = "sharpness/relative_to_edge"


def reason_without_edge(member: Member) -> str | None:
    """Return why the optimizer has no edge at 2 / lr, in one sentence, or None if it has."""
    settings = member.optimizer_settings
    if not settings.is_gradient_descent:
        name = settings.name or settings.target
        return f"optimizer.name={name} scales the step of each weight; the edge 2 / lr is gradient descent's"
    if settings.nesterov:
        return "optimizer.nesterov=true has another edge"
    if has_learning_rates_by_layer(member):
        return "the learning rate differs between layers (model.parametrization=mup)"
    return None


def has_learning_rates_by_layer(member: Member) -> bool:
    """Whether the network asks for a learning rate that is not the same in all layers."""
    factors = learning_rate_factors(member.network, member.optimizer_settings)
    return any(factor != 1 for factor in factors.values())


def edge_of_stability(member: Member, step: int) -> float:
    """Return the lambda_max of the loss above which gradient descent was unstable after ``step`` steps.

    ``2 (1 + momentum) / lr - weight_decay`` (Cohen et al. 2021): weight decay adds its strength to every
    eigenvalue of what is descended.
    """
    settings = member.optimizer_settings
    return 2 * (1 + settings.momentum) / _learning_rate(member, step) - settings.weight_decay


def edge_metrics(member: Member, lambda_max: float, late_measurements: int) -> dict[str, float]:
    """Return lambda_max relative to the edge, 1 at the edge of stability, and its mean of late.

    ``(lambda_max + weight_decay) lr / (2 (1 + momentum))``, and the mean over so many last measurements once
    there are as many; nothing for an optimizer without an edge.
    """
    if reason_without_edge(member) is not None:
        return {}
    settings = member.optimizer_settings
    curvature, lr = lambda_max + settings.weight_decay, _learning_rate(member, member.step)
    relative = relative_to_edge(curvature, lr, momentum=settings.momentum)
    late = [*member.recorder.series(RELATIVE)[1], relative][-late_measurements:]
    has_mean = len(late) == late_measurements
    return {RELATIVE: relative} | ({f"{RELATIVE}_late_mean": sum(late) / len(late)} if has_mean else {})


def eigenvalue_lines(member: Member) -> dict[str, Any]:
    """Return what :func:`~dlexp.plots.runs.hessian.draw_lambda_max` draws, of what a member has recorded."""
    steps, largest = member.recorder.series("hessian/lambda_max")
    _, smallest = member.recorder.series("hessian/lambda_min")
    has_edge = reason_without_edge(member) is None
    return {
        "steps": steps,
        "lambda_max": largest,
        "lambda_min": smallest or [math.nan] * len(steps),
        "edge": [edge_of_stability(member, step) if has_edge else math.nan for step in steps],
        "loss": member.recorder.series("train/loss"),
        "loss_label": member.loss.label,
    }


def _learning_rate(member: Member, step: int) -> float:
    """Return the learning rate of the last step taken (of the first, before any), without layers' factors."""
    return member.optimizer_settings.lr * member.schedule.factor(max(step - 1, 0))
