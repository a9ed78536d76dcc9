"""How wide a network must be to have a given number of parameters."""

import itertools
from bisect import bisect_right
from collections.abc import Sequence


def parameter_count(widths: Sequence[int], input_dim: int, output_dim: int, bias: bool = True) -> int:
    """Return the number of parameters of an MLP with hidden layers of the given widths.

    ``sum_l (n_{l-1} + 1[bias]) n_l`` over n_0 = input_dim, the widths and n_{L+1} = output_dim.
    """
    sizes = [input_dim, *widths, output_dim]
    return sum((inputs + bias) * outputs for inputs, outputs in itertools.pairwise(sizes))


def widths_for_budget(
    budget: int, depth: int, input_dim: int, output_dim: int, bias: bool = True
) -> list[int]:
    """Return the widths of ``depth`` hidden layers whose MLP comes nearest to ``budget`` parameters.

    With w the largest width for which ``depth`` equal layers fit the budget, each layer is w or w + 1 wide;
    all 2^depth choices are covered. Of equally near ones the smaller network wins, then the one with the
    narrower first layers.

    Raises ``ValueError`` if ``depth`` < 1, or if one unit in each layer already exceeds the budget.
    """
    if depth < 1:
        raise ValueError(f"depth={depth} is not allowed: a parameter budget needs at least 1 hidden layer")
    smallest = parameter_count([1] * depth, input_dim, output_dim, bias)
    if budget < smallest:
        raise ValueError(f"budget={budget} is too small: depth={depth} needs at least {smallest} parameters")
    width = bisect_right(
        range(1, budget + 1), budget, key=lambda w: parameter_count([w] * depth, input_dim, output_dim, bias)
    )
    # The rest of a network sees of its first layers only their count and the width of the last of them, so
    # one choice for each such pair is enough: O(depth^3) steps instead of 2^depth.
    choices = {((input_dim + bias) * w, w): [w] for w in (width, width + 1)}
    for _ in range(depth - 1):
        extended: dict[tuple[int, int], list[int]] = {}
        for (count, last), widths in choices.items():
            for w in (width, width + 1):
                key = (count + (last + bias) * w, w)
                extended[key] = min(extended.get(key, [*widths, w]), [*widths, w])
        choices = extended

    def distance(widths: list[int]) -> tuple[int, int, list[int]]:
        count = parameter_count(widths, input_dim, output_dim, bias)
        return abs(count - budget), count, widths

    return min(choices.values(), key=distance)
