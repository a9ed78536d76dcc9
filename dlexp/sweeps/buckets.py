"""Which members share a stack: little padding against few products."""

from collections.abc import Sequence

# The fixed cost of one more stack in a training step, in multiplications of one member-row: measured with
# `python scripts/bench.py --only buckets` on one core.
STACK_OVERHEAD = 1_600_000.0


def choose_buckets(
    costs: Sequence[tuple[int, int]], rows: int, overhead: float = STACK_OVERHEAD
) -> list[list[int]]:
    """Partition widths into consecutive buckets, each padded to its widest, at the least total cost.

    A bucket costs ``overhead`` plus (members in it) x (parameters of its widest member) x ``rows``; the best
    partition of the sorted widths is found exactly by dynamic programming.

    Args:
        costs: for each distinct network size, in ascending order: (number of members, parameters of one).
        rows: of a batch.

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
