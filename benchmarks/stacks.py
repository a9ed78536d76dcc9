"""Many networks' training steps: one after the other, by torch.func's vmap, and in dlexp's stacks."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial

import torch

from benchmarks.jobs import STUDY_WIDTHS, Config, Sweep, data_of, layer_sizes, plain_network, with_steps
from benchmarks.loops import VmapEnsemble, vmap_loop
from benchmarks.step import PLAIN, plain_lap
from benchmarks.timing import Lap, Section, Settings, in_turn, now, rows_of, timed
from dlexp.train.build import make_member, make_order
from dlexp.train.fit import fit
from dlexp.train.member import Member
from dlexp.train.memory import keep_freed_memory
from dlexp.train.stacks.bucket import Bucket
from dlexp.train.stacks.buckets import LAYER_OVERHEAD, partition
from dlexp.train.stacks.engine import chain_bucket

STACKED = "dlexp"
VMAP = "torch.func vmap, per width"

OVERHEADS = sorted({LAYER_OVERHEAD, *(50_000.0 * 2**power for power in range(7))})


def study(seeds: int, widths: Sequence[int] = STUDY_WIDTHS, *shared: str) -> Sweep:
    """Return the double-descent study: 10-W-1, batch 32 of 100."""
    name = " ".join([f"10-W-1, {len(widths)} widths x {seeds} seeds", *shared])
    return Sweep(name, shared, {"model.width": widths, "seed": range(seeds)})


def mixed(seeds: int, widths: Sequence[int] = STUDY_WIDTHS) -> Sweep:
    """Return three hidden layers of mixed widths."""
    name = f"3 hidden layers of W, {len(widths)} widths x {seeds} seeds"
    return Sweep(name, ("model.depth=3",), {"model.width": widths, "seed": range(seeds)})


def deep(seeds: int) -> Sweep:
    """Return five hidden layers of 31."""
    shared = ("model.depth=5", "model.width=31")
    return Sweep(f"5 hidden layers of 31, {seeds} seeds", shared, {"seed": range(seeds)})


def learning_rates(seeds: int) -> Sweep:
    """Return learning rate by seed at width 200, batch 128 of 1000."""
    rates = (0.0003, 0.001, 0.003, 0.01, 0.03)
    return Sweep(
        f"10-200-1, {len(rates)} learning rates x {seeds} seeds, batch 128 of 1000",
        ("model.width=200", "data.n_train=1000", "data.batch_size=128"),
        {"optimizer.lr": rates, "seed": range(seeds)},
    )


def measure(settings: Settings) -> Section:
    """Time a member's share of a step, in each way."""
    section = Section()
    momentum = ("optimizer=sgd", "optimizer.momentum=0.9")
    if settings.quick:
        sweeps = [study(2, (2, 5)), study(1, (2, 5), *momentum), deep(2), learning_rates(1)]
    else:
        sweeps = [study(1), study(5), study(20), study(20, STUDY_WIDTHS, *momentum)]
        sweeps += [deep(20), deep(100), learning_rates(10), mixed(20)]
    section.remarks.append(f"{PLAIN} (Adam): a network of each size in turn, the mean over all jobs.")
    for sweep in sweeps:
        configs = sweep.compose(settings.device)
        ways = {
            STACKED: partial(stacked_lap, configs, settings),
            VMAP: partial(vmap_lap, configs, settings),
            PLAIN: partial(one_by_one_lap, configs, settings),
        }
        laps = in_turn(ways, settings.rounds, warm_up=False)
        section.rows += rows_of(sweep.name, laps, settings, reference=STACKED, unit="µs/member-step")
    return section


def growth(settings: Settings) -> Section:
    """Time a member's share of a step for 1 to 1000 networks 10-50-1."""
    section = Section()
    for count in (1, 3) if settings.quick else (1, 3, 10, 30, 100, 300, 1000):
        configs = Sweep("", ("model.width=50",), {"seed": range(count)}).compose(settings.device)
        ways = {
            STACKED: partial(stacked_lap, configs, settings),
            PLAIN: partial(one_by_one_lap, configs[:1], settings),
        }
        laps = in_turn(ways, settings.rounds, warm_up=False)
        case = f"{count} x 10-50-1"
        section.rows += rows_of(case, laps, settings, reference=STACKED, unit="µs/member-step")
    return section


def buckets(settings: Settings) -> Section:
    """Time the steps that each value of ``LAYER_OVERHEAD`` leads to, every partition once."""
    keep_freed_memory()
    section = Section()
    ratios: dict[float, list[float]] = defaultdict(list)
    steps = 4 if settings.quick else 24
    for sweep in (
        [study(2, (2, 50))] if settings.quick else [study(1), study(5), study(20), mixed(5), mixed(20)]
    ):
        overheads: dict[str, list[float]] = defaultdict(list)
        ways = {}
        for overhead in OVERHEADS:
            parts = partition(_placed_members(sweep.compose(settings.device), settings), overhead)
            name = "; ".join(_widths(part) for part in parts)
            overheads[name].append(overhead)
            if name not in ways:
                ways[name] = partial(_bucket_lap, [chain_bucket(part, {}) for part in parts], steps)
        laps = in_turn(ways, settings.rounds)
        current = next(name for name, values in overheads.items() if LAYER_OVERHEAD in values)
        notes = {name: f"{values[0]:g} to {values[-1]:g}" for name, values in overheads.items()}
        rows = rows_of(sweep.name, laps, settings, reference=current, unit="ms/step", notes=notes)
        section.rows += rows
        for row in rows:
            for overhead in overheads[row.way]:
                ratios[overhead].append(row.ratio)
    means = {overhead: math.exp(sum(map(math.log, found)) / len(found)) for overhead, found in ratios.items()}
    section.remarks += [
        f"Ways are the widths in each bucket, notes the values of LAYER_OVERHEAD (it is {LAYER_OVERHEAD:g}).",
        "Geometric mean of the ratios over the cases: "
        + ", ".join(f"{overhead:g}: {mean:.3f}" for overhead, mean in means.items()),
    ]
    return section


def stacked_lap(configs: Sequence[Config], settings: Settings) -> Lap:
    """Return a member's share of a step in an ensemble: of a long run without a short one."""
    # About a second, and whole epochs.
    steps = 24 if settings.quick else min(max(20_000 // len(configs), 48), 800) // 8 * 8
    extra = ensemble_lap(configs, steps + 4, settings).minus(ensemble_lap(configs, 4, settings))
    return extra.times(1 / (steps * len(configs)))


def ensemble_lap(configs: Sequence[Config], steps: int, settings: Settings) -> Lap:
    """Return what the steps of an ensemble take, from its first evaluation to its last."""
    laps: dict[int, Lap] = {}

    def report(step: int, total_steps: int, loss: float) -> None:
        laps.setdefault(step, now(settings.device))

    members = [make_member(with_steps(config, steps)) for config in configs]
    fit(with_steps(configs[0], steps), members, report=report)
    return laps[steps].minus(laps[0])


def vmap_lap(configs: Sequence[Config], settings: Settings) -> Lap:
    """Return a member's share of a step under vmap, all jobs of one shape in one ensemble."""
    by_shape: dict[tuple[int, ...], list[Config]] = defaultdict(list)
    for config in configs:
        by_shape[layer_sizes(config)].append(config)
    ensembles = []
    for shape, alike in by_shape.items():
        networks = [plain_network(shape).to(settings.device) for _ in alike]
        sets = [data_of(config, settings.device) for config in alike]
        x, y = torch.stack([s.x_train for s in sets]), torch.stack([s.y_train for s in sets])
        ensembles.append(VmapEnsemble(networks, x, y, [make_order(config) for config in alike]))
    steps = 4 if settings.quick else 24
    vmap_loop(ensembles, 4)
    return timed(partial(vmap_loop, ensembles, steps), settings.device).times(1 / (steps * len(configs)))


def one_by_one_lap(configs: Sequence[Config], settings: Settings) -> Lap:
    """Return a job's step in the plain loop, the mean over all jobs: one of each shape is timed."""
    one_of = {layer_sizes(config): config for config in configs}
    steps = 4 if settings.quick else max(48, 600 // len(one_of))
    total = Lap(0.0, 0.0)
    for shape, count in Counter(map(layer_sizes, configs)).items():
        lap = plain_lap(one_of[shape], steps, settings.device).times(count / len(configs))
        total = Lap(total.cpu + lap.cpu, total.wall + lap.wall)
    return total


def _placed_members(configs: Sequence[Config], settings: Settings) -> list[Member]:
    members = [make_member(config).to(settings.device) for config in configs]
    for member, config in zip(members, configs, strict=True):
        member.place(data_of(config, settings.device))
    return members


def _bucket_lap(parts: Sequence[Bucket], steps: int) -> Lap:
    def work() -> None:
        for step in range(steps):
            for part in parts:
                part.step(part.batch(step), 1.0)

    return timed(work, parts[0].stack.values.device).times(1 / steps)


def _widths(members: Sequence[Member]) -> str:
    return " ".join(map(str, sorted({int(member.network_settings["width"]) for member in members})))
