"""Members as the tests of this folder need them: made of a configuration, with their data in place."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from dlexp.data.datamodule import tensors_of
from dlexp.train.build import make_member
from dlexp.train.member import Member

SMALL = [
    "data.n_train=20",
    "data.n_test=9",
    "data.input_dim=4",
    "trainer.max_steps=30",
    "trainer.accelerator=cpu",
    "training.stopping.train_loss=null",
    "logger=none",
]


@pytest.fixture(scope="session")
def small(compose_plain: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Return a function from overrides to the configuration of a small job."""
    return lambda *overrides: compose_plain(*SMALL, *overrides)


@pytest.fixture(scope="session")
def member_of(small: Callable[..., dict[str, Any]]) -> Callable[..., Member]:
    """Return a function from a small job's overrides to its member, ready for an engine."""

    def make(*overrides: str, dtype: torch.dtype = torch.float64) -> Member:
        member = make_member(small(*overrides))
        member.network.to(dtype)
        member.place(tensors_of(member.data, torch.device("cpu"), dtype))
        return member

    return make
