"""The readout of a network solved for instead of trained: least squares on the features below it."""

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor, nn

from dlexp.measures.functional import parameter_vector
from dlexp.measures.risk import ridge_solution
from dlexp.models.layers import ScaledLinear
from dlexp.train.build import network_settings
from dlexp.train.member import Member, evaluation_mode, make_network
from dlexp.train.plan import Plan

SQUARED_ERRORS = ("mse", "half_mse")


class LeastSquaresReadout(Callback):
    """Replaces the readout, when training is over, by the least-squares solution on the training set.

    Its weights and bias a minimise ``mean |f - y|^2 + ridge |a|^2``; without ridge they are the minimum-norm
    solution. After no training (``trainer.max_steps=0``) this is random-feature regression, where gradient
    descent on the readout alone would end. The losses and ``weights/norm`` are recorded anew, with the norm
    of a as ``least_squares/norm``.

    A network without a linear layer ``readout`` and a loss that is no squared error are refused. Raises
    ``ValueError`` for a negative ``ridge``.
    """

    changes_network = True

    def __init__(self, *, ridge: float = 0.0) -> None:
        if isinstance(ridge, bool) or not 0 <= ridge < math.inf:
            raise ValueError(f"ridge={ridge} is not allowed: it must be a finite number, 0 or above")
        self.ridge = ridge

    def find_problems(self, config: Mapping[str, Any], plan: Plan) -> list[str]:
        """Return what leaves the readout without a least-squares problem."""
        problems = []
        if config["training"]["loss"] not in SQUARED_ERRORS:
            problems.append(
                f"training.loss={config['training']['loss']} is not allowed: callbacks.least_squares solves "
                f"least squares, {' or '.join(SQUARED_ERRORS)}."
            )
        if not isinstance(getattr(make_network(network_settings(config)), "readout", None), ScaledLinear):
            problems.append(
                f"model._target_={config['model']['_target_']} is not allowed: callbacks.least_squares needs "
                "a network with a linear layer called readout."
            )
        return problems

    def due_steps(self, total_steps: int, steps_per_epoch: int) -> frozenset[int]:
        """Return no steps: only the end matters."""
        return frozenset()

    @torch.no_grad()
    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        """Solve for the readout and record what it reaches."""
        if module.outcome == "diverged":
            return
        learner = cast(Member, module)
        readout = cast(ScaledLinear, learner.network.readout)
        with evaluation_mode(learner.network):
            features = _inputs_of(readout, learner.network, learner.tensors.x_train)
        columns = [readout.weight_scale * features]
        if readout.bias is not None:
            columns.append(torch.full_like(features[:, :1], readout.bias_scale))
        solution = ridge_solution(torch.cat(columns, dim=1), learner.tensors.y_train, self.ridge)
        readout.weight.copy_(solution[: readout.in_features].T)
        if readout.bias is not None:
            readout.bias.copy_(solution[-1])
        with evaluation_mode(learner.network):
            values = {**learner.evaluate("train"), **learner.evaluate("test")}
        values |= {
            "weights/norm": parameter_vector(learner.network).norm(),
            "least_squares/norm": solution.norm(),
        }
        learner.record({name: value.item() for name, value in values.items()})


def _inputs_of(layer: nn.Module, network: nn.Module, x: Tensor) -> Tensor:
    """Return what a layer is given when the network is given x."""
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        network(x)
    finally:
        handle.remove()
    return seen[0]
