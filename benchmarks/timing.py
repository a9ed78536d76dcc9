"""Timing several ways of doing the same, in turn, so that a busy machine is unfair to none of them."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch


class Lap(NamedTuple):
    """Seconds that something took: ``cpu`` of this process, all its threads together, ``wall`` of the clock.

    On a shared machine the CPU time is the steadier of the two; on a GPU only the clock says anything.
    """

    cpu: float
    wall: float

    def minus(self, other: "Lap") -> "Lap":
        """Return what this lap took beyond another."""
        return Lap(self.cpu - other.cpu, self.wall - other.wall)

    def times(self, count: float) -> "Lap":
        """Return ``count`` such laps; a fraction is the share of one."""
        return Lap(self.cpu * count, self.wall * count)


@dataclass(frozen=True)
class Settings:
    """How to measure: on which device, and whether only to see that everything runs (tiny sizes, once)."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    quick: bool = False

    @property
    def rounds(self) -> int:
        """How often each way is timed."""
        return 1 if self.quick else 5

    @property
    def clock(self) -> str:
        """The time that ratios are formed of."""
        return "wall" if self.device.type == "cuda" else "cpu"


@dataclass(frozen=True)
class Row:
    """What one way of doing something took.

    Attributes:
        case: what was done; ``way``: how.
        cpu, wall: medians in ``unit``.
        ratio: this time divided by that of the case's reference way.
        difference: largest deviation in float64 from the reference way's values, relative to their largest.
        note: what else must be known.
        runs: how often it was timed.
    """

    case: str
    way: str
    cpu: float
    wall: float
    unit: str
    ratio: float
    difference: float | None = None
    note: str = ""
    runs: int = 1


@dataclass
class Section:
    """The rows of one subject, with what was left out and why."""

    rows: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def now(device: torch.device) -> Lap:
    """Read both clocks, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return Lap(time.process_time(), time.perf_counter())


def timed(work: Callable[[], Any], device: torch.device) -> Lap:
    """Return what one call took."""
    start = now(device)
    work()
    return now(device).minus(start)


def in_turn(ways: Mapping[str, Callable[[], Lap]], rounds: int, warm_up: bool = True) -> dict[str, list[Lap]]:
    """Time the ways one after the other, ``rounds`` times over (A B A B), after one untimed call of each."""
    if warm_up:
        for way in ways.values():
            way()
    laps: dict[str, list[Lap]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            laps[name].append(way())
    return laps


def median(laps: Sequence[Lap]) -> Lap:
    """Return the medians of both times."""
    return Lap(statistics.median(lap.cpu for lap in laps), statistics.median(lap.wall for lap in laps))


UNITS = {"s": 1.0, "ms": 1e3, "µs": 1e6}


def rows_of(
    case: str,
    laps: Mapping[str, Sequence[Lap]],
    settings: Settings,
    *,
    reference: str,
    unit: str,
    differences: Mapping[str, float] | None = None,
    notes: Mapping[str, str] | None = None,
) -> list[Row]:
    """Return a row for each way, with its ratio to the reference way.

    Args:
        case: what was done.
        laps: seconds by way.
        settings: says which clock counts.
        reference: the way that ratios are relative to.
        unit: a key of ``UNITS``, with what it is counted for if need be: ``"ms/step"``.
        differences, notes: by way.
    """
    medians = {way: median(found).times(UNITS[unit.partition("/")[0]]) for way, found in laps.items()}
    base = getattr(medians[reference], settings.clock)
    return [
        Row(
            case,
            way,
            lap.cpu,
            lap.wall,
            unit,
            getattr(lap, settings.clock) / base,
            (differences or {}).get(way),
            (notes or {}).get(way, ""),
            len(laps[way]),
        )
        for way, lap in medians.items()
    ]
