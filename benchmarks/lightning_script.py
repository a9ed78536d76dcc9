"""What a Lightning user would write for the double-descent study: one network a job, under Hydra's launcher.

Nothing of dlexp is in it. Data loaders, ``self.log``, validation after each epoch, TensorBoard and a
checkpoint are as Lightning's documentation shows them; the progress bar is off, which is to its advantage.
"""

import warnings
from dataclasses import dataclass

import hydra
import torch
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from pytorch_lightning import LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

Batch = tuple[Tensor, Tensor]


@dataclass
class Config:
    """The settings of a job."""

    width: int = 20
    seed: int = 0
    epochs: int = 500
    accelerator: str = "cpu"


class Regression(LightningModule):
    """A two-layer network 10-W-1 under mean squared error and Adam."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, 1))
        self.loss = nn.MSELoss()

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the loss on a batch, and log it."""
        return self._loss(batch, "train/loss")

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Log the loss on the test set."""
        self._loss(batch, "test/loss")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam as it comes."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)

    def _loss(self, batch: Batch, name: str) -> Tensor:
        x, y = batch
        loss: Tensor = self.loss(self.network(x), y)
        self.log(name, loss, on_step=False, on_epoch=True)
        return loss


def draw(n: int) -> TensorDataset:
    """Return n samples of sin(x_0) + cos(x_1) with noise."""
    x = torch.randn(n, 10)
    return TensorDataset(x, x[:, :1].sin() + x[:, 1:2].cos() + 0.3 * torch.randn(n, 1))


def train(config: Config) -> float:
    """Train one network; return its last test loss."""
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    torch.set_num_threads(1)
    seed_everything(config.seed, verbose=False)
    folder = HydraConfig.get().runtime.output_dir
    trainer = Trainer(
        max_epochs=config.epochs,
        accelerator=config.accelerator,
        devices=1,
        logger=TensorBoardLogger(folder),
        callbacks=[ModelCheckpoint(folder)],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(
        Regression(config.width),
        DataLoader(draw(100), batch_size=32, shuffle=True),
        DataLoader(draw(500), batch_size=500),
    )
    return float(trainer.callback_metrics["test/loss"])


if __name__ == "__main__":
    ConfigStore.instance().store(name="config", node=Config)
    hydra.main(version_base="1.3", config_path=None, config_name="config")(train)()
