"""Which steps are looked at, and the blocks between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlexp.train.plan import Block, Blocks, Plan, count_steps, evenly_spaced_steps, log_spaced_steps


@given(total=st.integers(0, 10**5), per_decade=st.integers(1, 30))
def test_log_spaced_steps_hold_both_ends_and_grow_by_decades(total, per_decade):
    steps = log_spaced_steps(total, per_decade)
    assert steps[0] == 0
    assert steps[-1] == total
    assert steps == sorted(set(steps))
    for decade in (10, 100, 1000, 10_000):
        if 10 * decade <= total:
            inside = [s for s in steps if decade <= s < 10 * decade]
            assert len(inside) == per_decade


def test_evenly_spaced_steps():
    assert evenly_spaced_steps(10, 4) == [0, 4, 8, 10]


@pytest.mark.parametrize(
    ("limits", "steps"), [((5, -1), 20), ((None, 7), 7), ((5, 7), 7), ((1, 7), 4), ((-1, 3), 3)]
)
def test_whichever_limit_comes_first_counts(limits, steps):
    assert count_steps(4, *limits) == steps


@given(
    total=st.integers(1, 300),
    every=st.integers(1, 100),
    check=st.integers(1, 100),
    measured=st.sets(st.integers(0, 400)),
)
def test_blocks_cover_every_step_once_and_end_where_somebody_looks(total, every, check, measured):
    plan = Plan(total, 4, frozenset(evenly_spaced_steps(total, every)), check)
    blocks = list(Blocks(plan, measured))
    assert [step for block in blocks for step in range(*block)] == list(range(total))
    stops = {block.stop for block in blocks}
    looked_at = {s for s in range(1, total + 1) if s in plan.log_steps or plan.is_check(s) or s in measured}
    assert stops == looked_at
    assert len(Blocks(plan, measured)) == len(blocks)
    assert isinstance(blocks[0], Block)
