"""What users may bring: callbacks, networks and data that dlexp knows nothing of."""

import copy

import torch
from pytorch_lightning import Callback, LightningDataModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlexp.callbacks.base import MeasureCallback


class Breaks(MeasureCallback):
    """Raises for networks of width 3 at step 20."""

    name = "breaks"

    def measure(self, module):
        width = module.network.hidden_1.out_features
        if width == 3 and module.step == 20:
            raise RuntimeError("three is a crowd")
        return {"width": width}


class TakesAlong(MeasureCallback):
    """Splits a companion off at step 10 and restarts the network, pruned, at step 20."""

    name = "companion"

    def measure(self, module):
        if module.step == 10:
            twin = copy.deepcopy(module.network)
            self.companion = module.take_along(twin, order_seed=7, split=True)
        if module.step == 20:
            weights = module.network.state_dict()
            module.restart(weights, {"hidden_1.weight": (weights["hidden_1.weight"] > 0).to(module.dtype)})
        if module.step < 20:
            return {}
        return {"companion": float(self.companion.evaluate("test")["test/loss"])}


class Listens(Callback):
    """Notes what Lightning's hooks are called with, and keeps a copy of the module."""

    heard: list = []  # noqa: RUF012

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.heard.append(("start", trainer.global_step, pl_module, [tuple(part.shape) for part in batch]))

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        gradient = torch.cat([p.grad.flatten() for p in pl_module.parameters()])
        self.heard.append(("gradient", trainer.global_step, pl_module, gradient.norm().item()))

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        pl_module.log("mine/half", trainer.global_step / 2)
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.heard.append(("end", trainer.global_step, float(outputs["loss"]), metrics))

    def on_train_epoch_end(self, trainer, pl_module):
        self.heard.append(("epoch", trainer.global_step, copy.deepcopy(pl_module), trainer.current_epoch))


class Fragile(nn.Sequential):
    """Two layers around dropout, for no stack; of width 3 it raises when it has been called often."""

    def __init__(self, input_dim, output_dim, width, generator, **_):
        super().__init__(nn.Linear(input_dim, width), nn.Dropout(0.1), nn.Linear(width, output_dim))
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        if self[0].out_features == 3 and self.calls > 12:
            raise RuntimeError("too often")
        return super().forward(x)


class Data(LightningDataModule):
    """A data module as Lightning's users write it: shuffled batches of 8, and a validation set."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(24, 4, generator=generator)
        self.y = torch.randn(24, 1, generator=generator)

    def train_dataloader(self):
        generator = torch.Generator().manual_seed(1)
        return DataLoader(TensorDataset(self.x, self.y), batch_size=8, shuffle=True, generator=generator)

    def val_dataloader(self):
        return DataLoader(TensorDataset(self.x[:5], self.y[:5]), batch_size=5)
