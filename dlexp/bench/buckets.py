"""The step of a stack against the constant that decides into how many buckets it is cut."""

import math
from collections.abc import Sequence
from functools import partial

import torch

from dlexp.bench.stacks import mixed, study
from dlexp.bench.timing import Section, Settings, in_turn, rows_of, timed
from dlexp.sweeps.buckets import LAYER_OVERHEAD, partition
from dlexp.sweeps.lockstep import Lockstep
from dlexp.sweeps.member import Member
from dlexp.sweeps.memory import keep_freed_memory
from dlexp.sweeps.train_group import make_member
from dlexp.training.build import make_datamodule

OVERHEADS = sorted({LAYER_OVERHEAD, *(50_000.0 * 2**power for power in range(7))})


def measure(settings: Settings) -> Section:
    """Time the steps that each value of ``LAYER_OVERHEAD`` leads to, every partition once."""
    keep_freed_memory()
    section = Section()
    ratios: dict[float, list[float]] = {overhead: [] for overhead in OVERHEADS}
    if settings.quick:
        sweeps = [study(2, (2, 50))]
    else:
        sweeps = [study(1), study(5), study(20), mixed(5), mixed(20)]
    for sweep in sweeps:
        steps = 4 if settings.quick else 24
        overheads: dict[str, list[float]] = {}
        ways = {}
        for overhead in OVERHEADS:
            members = [
                make_member(config, make_datamodule(config), settings.device, torch.float32)
                for config in sweep.compose(settings.device)
            ]
            buckets = partition(members, overhead)
            name = " | ".join(_widths(bucket) for bucket in buckets)
            if name not in overheads:
                take_steps = partial(Lockstep(buckets).take_steps, 0, steps, members[0].schedule)
                ways[name] = partial(timed, take_steps, settings.device)
            overheads.setdefault(name, []).append(overhead)
        laps = {name: [lap.per(steps) for lap in found] for name, found in in_turn(ways, 5).items()}
        current = next(name for name, values in overheads.items() if LAYER_OVERHEAD in values)
        notes = {name: "LAYER_OVERHEAD = " + _range(values) for name, values in overheads.items()}
        rows = rows_of(sweep.name, laps, settings, reference=current, unit="ms", of="step", notes=notes)
        section.rows += rows
        for row in rows:
            for overhead in overheads[row.way]:
                ratios[overhead].append(row.ratio)
    means = {overhead: math.exp(sum(map(math.log, found)) / len(found)) for overhead, found in ratios.items()}
    section.remarks.append(
        "Geometric mean of the ratios over the cases: "
        + ", ".join(f"{overhead:g}: {mean:.3f}" for overhead, mean in means.items())
    )
    section.remarks.append(
        f"Ways are the widths in each bucket; ratios are to LAYER_OVERHEAD = {LAYER_OVERHEAD:g}, its value."
    )
    return section


def _widths(bucket: Sequence[Member]) -> str:
    widths = {int(member.network_settings["width"]) for member in bucket}
    return " ".join(str(width) for width in sorted(widths))


def _range(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}"
