"""The jobs that are timed: ordinary configurations, composed as a sweep composes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product
from typing import Any

import torch
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig
from torch import nn

from dlexp.config.composition import SweepConfigLoader
from dlexp.config.plain import to_plain
from dlexp.config.resolve import conf_directory, register
from dlexp.data.batches import BatchOrder
from dlexp.training.build import network_settings

# Adam without a schedule, to the last step; batches of 32 are what the notebook used.
COMMON = (
    "data=sine_cosine",
    "data.batch_size=32",
    "optimizer.lr=0.001",
    "optimizer.schedule=constant",
    "training.stopping.train_loss=null",
)
# Nothing is looked at but the first and the last step.
UNLOGGED = (
    "logger=none",
    "training.log_points.spacing=linear",
    "training.log_points.every_n_steps=1000000000",
    "training.stopping.check_every_n_steps=1000000000",
)
# Lightning's ordinary way: it sees every step, and losses are evaluated after every epoch.
EVERY_STEP = "+callbacks.every_step._target_=dlexp.bench.training.EveryStep"

STUDY_WIDTHS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 80, 100, 150, 200)

Config = Mapping[str, Any]


@cache
def _loader() -> tuple[ConfigLoader, DictConfig]:
    register()
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        sweep = loader.load_configuration("train", ["seed=0,1"], RunMode.MULTIRUN)
    return SweepConfigLoader(loader), sweep  # type: ignore[return-value]


def compose(device: torch.device, *overrides: str) -> dict[str, Any]:
    """Return one job's resolved configuration, ``COMMON`` and then ``overrides`` set."""
    loader, sweep = _loader()
    accelerator = f"trainer.accelerator={'gpu' if device.type == 'cuda' else 'cpu'}"
    return to_plain(loader.load_sweep_config(sweep, [*COMMON, accelerator, *overrides]))


def with_steps(config: Config, steps: int) -> dict[str, Any]:
    """Return the configuration of the same job with another number of optimizer steps."""
    return {**config, "trainer": {**config["trainer"], "max_epochs": None, "max_steps": steps}}


@dataclass(frozen=True)
class Sweep:
    """A sweep that is timed: what all jobs share, and what is swept."""

    name: str
    shared: Sequence[str]
    swept: Mapping[str, Sequence[Any]]

    def compose(self, device: torch.device) -> list[dict[str, Any]]:
        """Return the configurations of its jobs, nothing logged."""
        settings = [[f"{key}={value}" for value in values] for key, values in self.swept.items()]
        return [compose(device, *UNLOGGED, *self.shared, *values) for values in product(*settings)]


def layer_sizes(config: Config) -> list[int]:
    """Return the sizes of a job's layers: inputs, hidden units of each layer, outputs."""
    settings = network_settings(config)
    width = settings["width"]
    widths = [width] * settings["depth"] if isinstance(width, int) else list(width)
    return [settings["input_dim"], *widths, settings["output_dim"]]


def plain_network(sizes: Sequence[int]) -> nn.Sequential:
    """Return the network that a user would write: Linear and ReLU in turn."""
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def batch_order(config: Config) -> BatchOrder:
    """Return the order of a job's batches."""
    data = config["data"]
    return BatchOrder(data["n_train"], data["batch_size"], data["order_seed"])


def operations_per_step(config: Config) -> float:
    """Return the floating-point operations of the products in one step, averaged over an epoch.

    2 B in out each for outputs and weight gradients, and for input gradients beyond the first layer.
    """
    order = batch_order(config)
    sizes = layer_sizes(config)
    products = [inputs * outputs for inputs, outputs in pairwise(sizes)]
    return 2 * order.n / order.steps_per_epoch * (3 * sum(products) - products[0])
