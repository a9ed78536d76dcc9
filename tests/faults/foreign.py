"""Callbacks that end the process that they run in or raise, data that are no numbers."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dlexp.callbacks.base import MeasureCallback


class Exits(MeasureCallback):
    """Ends the process in the job of seed 2, after five steps."""

    name = "exits"

    def measure(self, member: Any) -> Mapping[str, float]:
        """Return a number, or do not return."""
        if member.network_settings["seed"] == 2 and member.step == 5:
            os._exit(7)
        return {"exits/step": float(member.step)}


class Raises(MeasureCallback):
    """Raises in the job of seed 2, after five steps."""

    name = "raises"

    def measure(self, member: Any) -> Mapping[str, float]:
        """Return a number, or raise."""
        if member.network_settings["seed"] == 2 and member.step == 5:
            raise RuntimeError("two is unlucky")
        return {"raises/step": float(member.step)}


def no_numbers(n: int, generator: torch.Generator, **_: Any) -> tuple[Tensor, Tensor]:
    """Draw inputs with targets that are not defined."""
    x = torch.randn(n, 4, dtype=torch.float64, generator=generator)
    return x, x[:, :1] * float("nan")
