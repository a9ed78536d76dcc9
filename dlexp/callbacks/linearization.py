"""The network linearised at its initialisation, trained by the same gradient descent in closed form."""

import math
from typing import cast

import torch
from torch import Tensor

from dlexp.callbacks.edge import has_learning_rates_by_layer
from dlexp.measures.ntk import empirical_ntk, linearized_predictions
from dlexp.measures.ntk.linearized import SquaredLoss
from dlexp.train.member import Member

LOSSES = {"mse": "mean", "half_mse": "half_mean"}
"""What :func:`linearized_predictions` calls the losses."""


def reason_without_closed_form(member: Member) -> str | None:
    """Return why gradient descent's closed form is not how this network trains, or None if it is."""
    settings = member.optimizer_settings
    if member.loss.name not in LOSSES:
        return f"training.loss={member.loss.name} is no squared error"
    if not settings.is_gradient_descent:
        return f"optimizer.name={settings.name or settings.target} is not gradient descent"
    if member.clip is not None:
        return "gradients are clipped"
    if member.plan.steps_per_epoch != 1:
        return "data.batch_size is not full"
    for key, value in (("momentum", settings.momentum), ("weight_decay", settings.weight_decay)):
        if value:
            return f"optimizer.{key}={value} is not 0"
    if member.schedule.name != "constant":
        return f"optimizer.schedule={member.schedule.name} is not constant"
    if has_learning_rates_by_layer(member):
        return "the learning rate differs between layers (model.parametrization=mup)"
    if member.masks:
        return "weights are masked"
    return None


Start = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, float]
"""The first arguments of :func:`linearized_predictions`: kernels, outputs at the start, targets, rate."""


class Linearization:
    """The network as it is now, linearised, and what it predicts at inputs x (M, ...) while it trains.

    The kernel is that of the whole training set, as the whole set moves the predictions.

    Attributes:
        f0_x: the network's outputs (M, K) now.
    """

    def __init__(self, member: Member, x: Tensor) -> None:
        network, tensors = member.network, member.tensors
        kernels = empirical_ntk(network, tensors.x_train), empirical_ntk(network, x, tensors.x_train)
        with torch.no_grad():
            f0_t, self.f0_x = network(tensors.x_train), network(x)
        rest = tensors.y_train, member.optimizer_settings.lr
        self._first_step, self._loss = member.step, cast(SquaredLoss, LOSSES[member.loss.name])
        self._start: Start = (*kernels, f0_t, self.f0_x, *rest)
        # f_0(x) + K_xt K_tt^-1 (y - f_0(t)); kernel regression without a ridge leaves f_0 out.
        nothing = torch.zeros_like(f0_t), torch.zeros_like(self.f0_x)
        ends: dict[str, Start] = {
            "interpolation": self._start,
            "kernel_regression": (*kernels, *nothing, *rest),
        }
        self._ends = {
            name: linearized_predictions(*start, math.inf, dynamics="gradient_flow")
            for name, start in ends.items()
        }

    def predictions(self, step: int) -> dict[str, Tensor]:
        """Return its outputs (M, K) after ``step`` steps and at the end, and kernel regression's, by name."""
        steps = step - self._first_step
        return {"linearized": linearized_predictions(*self._start, steps, loss=self._loss), **self._ends}
