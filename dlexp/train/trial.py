"""A member that is not trained: what callbacks are tried on before anything is."""

from typing import cast

import torch
from torch import nn

from dlexp.data.datamodule import Tensors
from dlexp.losses import CLASSIFICATION
from dlexp.seeding import make_generator
from dlexp.train.member import Companion, Member
from dlexp.train.network import require_no_draws
from dlexp.train.optimizers import OptimizerState

ROWS = 8


class Trial(Member):
    """A member before its first step, with a few rows of no meaning for data.

    >>> trial = Trial(nn.Linear(2, 1), loss="mse", optimizer={"name": "sgd", "lr": 0.1})
    >>> trial.place_rows(input_dim=2, output_dim=1)
    >>> trial.step, trial.tensors.x_train.shape
    (0, torch.Size([8, 2]))
    """

    @property
    def step(self) -> int:
        """No step is taken."""
        return 0

    def place_rows(self, input_dim: int, output_dim: int) -> None:
        """Take rows between 0 and 1, which most networks take, and targets that the loss takes."""
        stream = make_generator("trial", 0)
        inputs = [torch.rand(ROWS, input_dim, generator=stream, dtype=torch.float64) for _ in range(2)]
        if CLASSIFICATION in self.loss.tasks:
            y = torch.arange(ROWS) % output_dim
        else:
            y = torch.rand(ROWS, output_dim, generator=stream, dtype=torch.float64)
        dtype = next((p.dtype for p in self.network.parameters()), torch.float32)
        y = y.to(dtype) if y.is_floating_point() else y
        self.tensors = Tensors(inputs[0].to(dtype), y, inputs[1].to(dtype), y)

    def optimizer_state(self) -> OptimizerState:
        """Return nothing: no step is taken."""
        return {}

    def take_along(self, network: nn.Module, *, order_seed: int | None, split: bool = False) -> Companion:
        """Refuse a network that cannot be trained beside this one, as a member does; none is trained."""
        require_no_draws(network)
        companion = Trial(network, loss=self.loss.name, optimizer=self.hparams["optimizer"], plan=self.plan)
        companion.tensors = self.tensors
        return cast(Companion, companion)
