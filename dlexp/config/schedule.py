"""What the settings of all callbacks share: the class, and when it measures."""

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from dlexp.config.errors import not_allowed
from dlexp.config.kinds import SEED, TARGET, flag, whole
from dlexp.config.schema import Config, Section

HALF = ("16-true", "bf16-true")
NEVER = whole(1, null="never")


class CallbackSettings(Section):
    """What every callback has: its class. ``metrics`` are the beginnings of the names that it records."""

    metrics: ClassVar[tuple[str, ...]] = ()
    in_half: ClassVar[bool] = False  # whether it takes weights in half precision: linear algebra does not

    target: Annotated[str, TARGET] = Field(alias="_target_")

    def problems(self, key: str) -> Iterator[str]:
        """Yield a sentence for each two settings of the callback at ``key`` that do not fit."""
        yield from ()

    def problems_with(self, key: str, config: Config) -> Iterator[str]:
        """Yield a sentence for each setting that does not fit the rest of the configuration."""
        precision = config.trainer.precision
        if precision in HALF and not self.in_half:
            allowed = f"64-true, 32-true, 16-mixed or bf16-mixed with {key}, which needs whole weights"
            yield not_allowed("trainer.precision", precision, allowed)


class Schedule(CallbackSettings):
    """When a callback measures: what most of them share (``conf/callbacks/_schedule.yaml``)."""

    at_start: Annotated[bool, flag()] = True
    at_end: Annotated[bool, flag()] = True
    every_n_steps: Annotated[int | None, NEVER] = None
    every_n_epochs: Annotated[int | None, NEVER] = None
    log_spaced: Annotated[int | None, whole(1, 1000, null="never")] = None
    seed: Annotated[int, SEED] = 0
    figures: Annotated[bool, flag()] = True

    def fewest_measurements(self, total_steps: int, steps_per_epoch: int) -> int:
        """Return how many steps at most are surely measured: those of the longest list and both ends."""
        intervals = (self.every_n_steps, self.every_n_epochs and self.every_n_epochs * steps_per_epoch)
        between = [max(0, total_steps - 1) // interval for interval in intervals if interval]
        if self.log_spaced:
            between.append(int(math.log10(max(1, total_steps - 1)) * self.log_spaced) + 1)
        return max(between, default=0) + self.at_start + self.at_end
