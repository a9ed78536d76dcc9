"""Many networks' training steps: one after the other, by torch.func's vmap, and in dlexp's stacks."""

import json
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import torch

from dlexp.bench.configs import (
    STUDY_WIDTHS,
    Config,
    Sweep,
    batch_order,
    layer_sizes,
    operations_per_step,
    plain_network,
    with_steps,
)
from dlexp.bench.loops import VmapEnsemble, vmap_loop
from dlexp.bench.timing import Lap, Section, Settings, in_turn, median, now, rows_of, timed
from dlexp.bench.training import PLAIN, plain_lap
from dlexp.sweeps.train_group import train_group
from dlexp.training.build import make_datamodule

VECTORIZED = "dlexp vectorized"
VMAP = "torch.func vmap, per width"


def study(seeds: int, widths: Sequence[int] = STUDY_WIDTHS) -> Sweep:
    """Return the double-descent study: 10-W-1, batch 32 of 100."""
    name = f"(a) 10-W-1, {len(widths)} widths x {seeds} seeds"
    return Sweep(name, (), {"model.width": widths, "seed": range(seeds)})


def deep(seeds: int) -> Sweep:
    """Return five hidden layers of 31."""
    shared = ("model.depth=5", "model.width=31")
    return Sweep(f"(b) 5 hidden layers of 31, {seeds} seeds", shared, {"seed": range(seeds)})


def learning_rates(seeds: int) -> Sweep:
    """Return learning rate by seed at width 200, batch 128 of 1000."""
    rates = (0.0003, 0.001, 0.003, 0.01, 0.03)
    return Sweep(
        f"(c) 10-200-1, {len(rates)} learning rates x {seeds} seeds, batch 128 of 1000",
        ("model.width=200", "data.n_train=1000", "data.batch_size=128"),
        {"optimizer.lr": rates, "seed": range(seeds)},
    )


def mixed(seeds: int, widths: Sequence[int] = STUDY_WIDTHS) -> Sweep:
    """Return three hidden layers of mixed widths."""
    name = f"(d) 3 hidden layers of W, {len(widths)} widths x {seeds} seeds"
    return Sweep(name, ("model.depth=3",), {"model.width": widths, "seed": range(seeds)})


def measure(settings: Settings) -> Section:
    """Time a member's share of a step, in each way, for the cases that DESIGN.md promises something of."""
    section = Section()
    if settings.quick:
        sweeps = [study(2, (2, 5)), deep(2), learning_rates(1), mixed(2, (2, 5))]
    else:
        sweeps = [study(1), study(5), study(20), deep(20), deep(100), learning_rates(10), mixed(20)]
    best = product_gflops(settings)
    section.remarks.append(
        f"A product of two 2048 x 2048 float32 matrices: {best:.0f} GFLOP/s. GFLOP/s count the products of "
        "the networks as they are, padding left out."
    )
    section.remarks.append(f"{PLAIN}: a network of each size in turn, the mean taken over all jobs.")
    for sweep in sweeps:
        configs = sweep.compose(settings.device)
        ways = {
            VECTORIZED: partial(vectorized_lap, configs, settings),
            VMAP: partial(vmap_lap, configs, settings),
            PLAIN: partial(one_by_one_lap, configs, settings),
        }
        laps = in_turn(ways, settings.rounds, warm_up=False)
        operations = sum(operations_per_step(config) for config in configs) / len(configs)
        section.rows += rows_of(
            sweep.name,
            laps,
            settings,
            reference=VECTORIZED,
            unit="µs",
            of="member-step",
            operations=operations,
        )
    return section


def growth(settings: Settings) -> Section:
    """Time a member's share of a step for 1 to 1000 networks 10-50-1."""
    section = Section()
    counts = (1, 3) if settings.quick else (1, 3, 10, 30, 100, 300, 1000)
    one = Sweep("", ("model.width=50",), {"seed": range(1)}).compose(settings.device)
    for count in counts:
        sweep = Sweep(f"{count} x 10-50-1", ("model.width=50",), {"seed": range(count)})
        ways = {
            VECTORIZED: partial(vectorized_lap, sweep.compose(settings.device), settings),
            PLAIN: partial(one_by_one_lap, one, settings),
        }
        laps = in_turn(ways, settings.rounds, warm_up=False)
        section.rows += rows_of(
            sweep.name,
            laps,
            settings,
            reference=VECTORIZED,
            unit="µs",
            of="member-step",
            operations=operations_per_step(one[0]),
        )
    return section


def vectorized_lap(configs: Sequence[Config], settings: Settings) -> Lap:
    """Return a member's share of a step in a stack: of a long run without a short one."""
    steps = 24 if settings.quick else steps_for(len(configs))
    extra = group_lap(configs, steps + 4, settings.device).minus(group_lap(configs, 4, settings.device))
    return extra.per(steps * len(configs))


def steps_for(members: int) -> int:
    """Return how many steps of a stack to time: about a second, and whole epochs."""
    return min(max(20_000 // members, 48), 800) // 8 * 8


def group_lap(configs: Sequence[Config], steps: int, device: torch.device) -> Lap:
    """Return what the steps of a group take, from its first evaluation to its last."""
    laps: dict[int, Lap] = {}

    def report(step: int, total_steps: int, loss: float) -> None:
        laps.setdefault(step, now(device))

    train_group([with_steps(config, steps) for config in configs], report)
    return laps[steps].minus(laps[0])


def vmap_lap(configs: Sequence[Config], settings: Settings) -> Lap:
    """Return a member's share of a step under vmap, all jobs of one shape in one ensemble."""
    by_shape: dict[tuple[int, ...], list[Config]] = defaultdict(list)
    for config in configs:
        by_shape[tuple(layer_sizes(config))].append(config)
    ensembles = []
    for shape, alike in by_shape.items():
        networks = [plain_network(shape).to(settings.device) for _ in alike]
        sets = [make_datamodule(config).tensors(settings.device) for config in alike]
        x, y = torch.stack([s.x_train for s in sets]), torch.stack([s.y_train for s in sets])
        ensembles.append(VmapEnsemble(networks, x, y, [batch_order(config) for config in alike]))
    steps = 4 if settings.quick else 24
    vmap_loop(ensembles, 4)
    return timed(partial(vmap_loop, ensembles, steps), settings.device).per(steps * len(configs))


def one_by_one_lap(configs: Sequence[Config], settings: Settings) -> Lap:
    """Return a job's step in the plain loop, the mean over all jobs: one of each shape is timed."""
    one_of = {json.dumps(layer_sizes(config)): config for config in configs}
    weight = dict.fromkeys(one_of, 0)
    for config in configs:
        weight[json.dumps(layer_sizes(config))] += 1
    steps = 4 if settings.quick else max(48, 600 // len(one_of))
    cpu = wall = 0.0
    for shape, config in one_of.items():
        lap = plain_lap(config, steps, settings.device)
        cpu += lap.cpu * weight[shape]
        wall += lap.wall * weight[shape]
    return Lap(cpu, wall).per(len(configs))


def product_gflops(settings: Settings) -> float:
    """Return the speed of a large matrix product, in 10^9 operations a second."""
    size = 128 if settings.quick else 2048
    matrix = torch.randn(size, size, device=settings.device, generator=torch.Generator(settings.device))
    laps = in_turn({"": lambda: timed(lambda: matrix @ matrix, settings.device)}, 5)[""]
    seconds: float = getattr(median(laps), settings.clock)
    return 2 * size**3 / seconds / 1e9
