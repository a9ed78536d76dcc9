"""The network linearised at its initialisation, trained by the same gradient descent in closed form."""

import math
from typing import Any

import torch
from torch import Tensor

from dlexp.callbacks.edge import has_learning_rates_by_layer
from dlexp.measures.ntk import empirical_ntk, linearized_predictions
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


class Linearization:
    """What :func:`linearized_predictions` needs, taken from a network as it is now.

    The kernel is that of the whole training set, as the whole set moves the predictions.
    """

    def __init__(self, member: Member, x: Tensor) -> None:
        tensors, network = member.tensors, member.network
        self.y = tensors.y_train
        self.kernel_tt = empirical_ntk(network, tensors.x_train)
        self.kernel_xt = empirical_ntk(network, x, tensors.x_train)
        with torch.no_grad():
            self.f0_t, self.f0_x = network(tensors.x_train), network(x)
        self.first_step = member.step
        self.lr = member.optimizer_settings.lr
        self.loss: Any = LOSSES[member.loss.name]
        self._ends = {
            "interpolation": self.interpolation(from_initial=True),
            "kernel_regression": self.interpolation(from_initial=False),
        }

    def predictions(self, step: int) -> Tensor:
        """Return the linearised network's outputs at x (M, K) after ``step`` steps of training."""
        return linearized_predictions(
            self.kernel_tt,
            self.kernel_xt,
            self.f0_t,
            self.f0_x,
            self.y,
            self.lr,
            step - self.first_step,
            loss=self.loss,
        )

    def all_predictions(self, step: int) -> dict[str, Tensor]:
        """Return its outputs after ``step`` steps, where they end, and kernel regression's, by name."""
        return {"linearized": self.predictions(step), **self._ends}

    def interpolation(self, *, from_initial: bool) -> Tensor:
        """Return where the linearised network's outputs at x (M, K) end: kernel interpolation.

        ``f_0(x) + K_xt K_tt^-1 (y - f_0(t))``; ``from_initial`` false leaves f_0 out, which is what kernel
        regression without a ridge predicts.
        """
        f0_t, f0_x = self.f0_t, self.f0_x
        if not from_initial:
            f0_t, f0_x = torch.zeros_like(f0_t), torch.zeros_like(f0_x)
        kernels = self.kernel_tt, self.kernel_xt
        return linearized_predictions(
            *kernels, f0_t, f0_x, self.y, self.lr, math.inf, dynamics="gradient_flow"
        )
