"""The step of a stack against the constant that decides into how many buckets it is cut."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby, pairwise

import torch

from dlexp.bench.configs import Config, batch_order, layer_sizes
from dlexp.bench.stacks import mixed, study
from dlexp.bench.timing import Section, Settings, in_turn, rows_of, timed
from dlexp.config.identity import identity
from dlexp.sweeps.bucket import Bucket
from dlexp.sweeps.buckets import STACK_OVERHEAD, choose_buckets
from dlexp.sweeps.member import Member
from dlexp.sweeps.memory import keep_freed_memory
from dlexp.training.build import make_convergence, make_datamodule, make_plan, module_settings
from dlexp.training.module import make_network
from dlexp.training.optimizers import group_settings, optimizer_over

OVERHEADS = sorted({STACK_OVERHEAD, *(100_000.0 * 2**power for power in range(7))})


def measure(settings: Settings) -> Section:
    """Time the steps that each value of ``STACK_OVERHEAD`` leads to, every partition once."""
    keep_freed_memory()
    section = Section()
    ratios: dict[float, list[float]] = {overhead: [] for overhead in OVERHEADS}
    if settings.quick:
        sweeps = [study(2, (2, 50))]
    else:
        sweeps = [study(1), study(5), study(20), mixed(5), mixed(20)]
    for sweep in sweeps:
        configs = sweep.compose(settings.device)
        steps = 4 if settings.quick else 24
        partitions: dict[str, list[float]] = {}
        ways = {}
        for overhead in OVERHEADS:
            parts = partition(configs, overhead)
            name = " | ".join(" ".join(map(str, part)) for part in parts)
            if name not in partitions:
                stepper = Stepper(configs, parts, settings.device)
                ways[name] = partial(timed, partial(stepper.take, steps), settings.device)
            partitions.setdefault(name, []).append(overhead)
        laps = {name: [lap.per(steps) for lap in found] for name, found in in_turn(ways, 5).items()}
        current = next(name for name, values in partitions.items() if STACK_OVERHEAD in values)
        notes = {name: "STACK_OVERHEAD = " + _range(values) for name, values in partitions.items()}
        rows = rows_of(sweep.name, laps, settings, reference=current, unit="ms", of="step", notes=notes)
        section.rows += rows
        for row in rows:
            for overhead in partitions[row.way]:
                ratios[overhead].append(row.ratio)
    means = {overhead: math.exp(sum(map(math.log, found)) / len(found)) for overhead, found in ratios.items()}
    section.remarks.append(
        "Geometric mean of the ratios over the cases: "
        + ", ".join(f"{overhead:g}: {mean:.3f}" for overhead, mean in means.items())
    )
    section.remarks.append(
        f"Ways are the widths in each bucket; ratios are to STACK_OVERHEAD = {STACK_OVERHEAD:g}, its value."
    )
    return section


def partition(configs: Sequence[Config], overhead: float) -> list[list[int]]:
    """Return the widths in each bucket that a value of ``STACK_OVERHEAD`` leads to."""
    ordered = sorted(configs, key=lambda config: int(config["model"]["width"]))
    by_width = [list(same) for _, same in groupby(ordered, key=lambda c: int(c["model"]["width"]))]
    costs = []
    for same in by_width:
        sizes = layer_sizes(same[0])
        costs.append((len(same), sum(a * b for a, b in pairwise(sizes))))
    chosen = choose_buckets(costs, batch_order(configs[0]).batch_size, overhead)
    return [[int(by_width[index][0]["model"]["width"]) for index in indices] for indices in chosen]


class Stepper:
    """Trains jobs in given buckets, by the steps that ``GroupModule`` takes."""

    def __init__(
        self, configs: Sequence[Config], parts: Sequence[Sequence[int]], device: torch.device
    ) -> None:
        self.buckets = []
        for widths in parts:
            inside = [config for config in configs if config["model"]["width"] in widths]
            bucket = Bucket([_member(config, device) for config in inside]).to(device)
            bucket.place()
            self.buckets.append(bucket)
        parameters = [parameter for bucket in self.buckets for parameter in bucket.parameters()]
        own = self.buckets[0].members[0].optimizer_settings
        settings = group_settings("adam", own["lr"], 0.0, own["betas"], own["weight_decay"])
        self.optimizer = optimizer_over([{"params": parameters, **settings}], "adam")
        self.device = device

    def take(self, steps: int) -> None:
        """Take some steps, from the beginning of an epoch."""
        per_epoch = self.buckets[0].order.steps_per_epoch
        for step in range(steps):
            epoch, index = divmod(step, per_epoch)
            if index == 0:
                self._shuffle(epoch)
            self.optimizer.zero_grad()
            torch.stack([bucket.total_loss(index) for bucket in self.buckets]).sum().backward()
            self.optimizer.step()

    def _shuffle(self, epoch: int) -> None:
        permutations: Mapping[int, torch.Tensor] = {
            member.order.seed: torch.cat([r for r in member.order.epoch(epoch, self.device) if r is not None])
            for bucket in self.buckets
            for member in bucket.members
        }
        for bucket in self.buckets:
            bucket.shuffle(permutations)


def _member(config: Config, device: torch.device) -> Member:
    order = batch_order(config)
    plan = make_plan(config, order.steps_per_epoch)
    settings = module_settings(config, plan)
    network = make_network(settings["network"])
    assert isinstance(network, torch.nn.Sequential)
    member = Member(identity(config), settings, network, order, plan, make_convergence(config), [])
    member.place(make_datamodule(config).tensors(device))
    return member


def _range(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}"
