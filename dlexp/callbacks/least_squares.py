"""The readout of a network solved for instead of trained: least squares on the features below it."""

from typing import Any, cast

import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn

from dlexp.callbacks.configured import ConfiguredCallback
from dlexp.config.least_squares import LeastSquaresSettings
from dlexp.measures.functional import parameter_vector
from dlexp.measures.risk import ridge_solution
from dlexp.models.layers import ScaledLinear
from dlexp.train.member import Member
from dlexp.train.network import evaluation_mode


class LeastSquaresReadout(ConfiguredCallback):
    """Replaces the readout, when training is over, by the least-squares solution on the training set.

    Its weights and bias a minimise ``mean |f - y|^2 + ridge |a|^2``; without ridge they are the minimum-norm
    solution. After no training (``trainer.max_steps=0``) this is random-feature regression, where gradient
    descent on the readout alone would end. The losses and ``weights/norm`` are recorded anew, with the norm
    of a as ``least_squares/norm``.

    A network without a linear layer ``readout`` and a loss that is no squared error are refused.

    Args:
        ridge: the penalty.
    """

    name = "least_squares"
    settings_model = LeastSquaresSettings
    settings: LeastSquaresSettings
    changes_network = True

    def try_on(self, trial: Member) -> None:
        """Refuse a network without a readout to solve for."""
        if not isinstance(getattr(trial.network, "readout", None), ScaledLinear):
            kind = type(trial.network).__name__
            raise ValueError(
                f"a {kind} has no linear layer called readout, a dlexp.models.layers.ScaledLinear"
            )

    @torch.no_grad()
    def on_train_end(self, trainer: Trainer, member: Any) -> None:
        """Solve for the readout and record what it reaches."""
        if member.outcome == "diverged":
            return
        readout = cast(ScaledLinear, member.network.readout)
        with evaluation_mode(member.network):
            features = _inputs_of(readout, member.network, member.tensors.x_train)
        columns = [readout.weight_scale * features]
        if readout.bias is not None:
            columns.append(torch.full_like(features[:, :1], readout.bias_scale))
        solution = ridge_solution(torch.cat(columns, dim=1), member.tensors.y_train, self.settings.ridge)
        readout.weight.copy_(solution[: readout.in_features].T)
        if readout.bias is not None:
            readout.bias.copy_(solution[-1])
        with evaluation_mode(member.network):
            values = {**member.evaluate("train"), **member.evaluate("test")}
        values |= {
            "weights/norm": parameter_vector(member.network).norm(),
            "least_squares/norm": solution.norm(),
        }
        member.record({name: value.item() for name, value in values.items()})


def _inputs_of(layer: nn.Module, network: nn.Module, x: Tensor) -> Tensor:
    """Return what a layer is given when the network is given x."""
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        network(x)
    finally:
        handle.remove()
    return seen[0]
