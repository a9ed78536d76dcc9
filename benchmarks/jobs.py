"""The jobs that are timed: ordinary configurations, composed as a sweep composes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product
from typing import Any

import torch
from torch import nn

from dlexp.config.compose import Composer, composer_of
from dlexp.data.datamodule import Tensors
from dlexp.train.build import make_datamodule, network_settings

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
EVERY_STEP = "+callbacks.every_step._target_=benchmarks.step.EveryStep"

STUDY_WIDTHS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 80, 100, 150, 200)

Config = Mapping[str, Any]


def compose(device: torch.device, *overrides: str) -> dict[str, Any]:
    """Return one job's resolved configuration, ``COMMON`` and then ``overrides`` set."""
    accelerator = f"trainer.accelerator={'gpu' if device.type == 'cuda' else 'cpu'}"
    return _composer().compose([*COMMON, accelerator, *overrides]).plain


@cache
def _composer() -> Composer:
    return composer_of()


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


def data_of(config: Config, device: torch.device | str = "cpu") -> Tensors:
    """Return a job's data."""
    return make_datamodule(config).tensors(device)


def layer_sizes(config: Config) -> tuple[int, ...]:
    """Return the sizes of a job's layers: inputs, hidden units of each layer, outputs."""
    settings = network_settings(config)
    return settings["input_dim"], *[settings["width"]] * settings["depth"], settings["output_dim"]


def plain_network(sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Return the network that a user would write: Linear and its activation in turn."""
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])
