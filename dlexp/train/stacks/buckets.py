"""Which members share a stack: little padding against few products."""

from collections.abc import Sequence
from itertools import groupby

from torch import nn

from dlexp.train.member import Member

# The fixed cost of one more stacked layer in a training step, in multiplications of one member-row: measured
# with `python -m benchmarks --only buckets` on one core.
LAYER_OVERHEAD = 800_000.0


def choose_buckets(costs: Sequence[tuple[int, int]], rows: int, overhead: float) -> list[list[int]]:
    """Partition widths into consecutive buckets, each padded to its widest, at the least total cost.

    A bucket costs ``overhead`` plus (members in it) x (parameters of its widest member) x ``rows``; the best
    partition of the sorted widths is found exactly by dynamic programming.

    Args:
        costs: for each distinct network size, in ascending order: (number of members, parameters of one).
        rows: of a batch.
        overhead: of a bucket, in the same unit.

    Returns:
        The indices into ``costs`` of each bucket.
    """
    best: list[tuple[float, list[list[int]]]] = [(0.0, [])]
    for stop in range(1, len(costs) + 1):
        candidates = []
        for start in range(stop):
            members = sum(count for count, _ in costs[start:stop])
            price = best[start][0] + overhead + members * costs[stop - 1][1] * rows
            candidates.append((price, [*best[start][1], list(range(start, stop))]))
        best.append(min(candidates, key=lambda candidate: candidate[0]))
    return best[-1][1]


def partition(members: Sequence[Member], layer_overhead: float = LAYER_OVERHEAD) -> list[list[Member]]:
    """Return the members of each bucket: of about the same size, those of like settings together."""
    by_size = sorted(members, key=lambda member: (sum(_sizes(member)), _sizes(member)))
    alike = [list(same) for _, same in groupby(by_size, key=lambda member: sum(_sizes(member)))]
    costs = [(len(same), sum(_sizes(same[0]))) for same in alike]
    overhead = layer_overhead * len(_sizes(members[0]))
    chosen = choose_buckets(costs, members[0].batches.order.batch_size, overhead)
    buckets = [[member for index in indices for member in alike[index]] for indices in chosen]
    return [sorted(bucket, key=lambda member: member.optimizer_settings.betas) for bucket in buckets]


def step_cost(members: Sequence[Member]) -> float:
    """Return what one training step of members costs in buckets, in the unit of ``LAYER_OVERHEAD``."""
    rows = members[0].batches.order.batch_size
    overhead = LAYER_OVERHEAD * len(_sizes(members[0]))
    return sum(
        overhead + len(bucket) * max(sum(_sizes(member)) for member in bucket) * rows
        for bucket in partition(members)
    )


def _sizes(member: Member) -> tuple[int, ...]:
    """Return the number of weights of each layer."""
    return tuple(m.weight.numel() for m in member.network.modules() if isinstance(m, nn.Linear))
