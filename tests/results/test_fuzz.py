"""Whatever runs a folder holds, claims are judged: never an error, never supported where it must not be."""

import json
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dlexp.records.run import DIVERGED, DONE, FAILED, UNFINISHED, UNREADABLE, Run
from dlexp.results.claims import Finding, at_least, at_most, between, exactly
from dlexp.results.statistic import Statistic
from dlexp.results.statistics import (
    difference,
    peak,
    peak_ratio,
    rank_correlation,
    ratio,
    slope,
    valley,
    value,
)
from dlexp.results.table import Table
from dlexp.results.verdict import claims_json, judge

WIDTHS = (1, 2, 4)
# Few values, so that ties are common, and the ends of what a float can hold.
VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0, -1.0, 0.1, 1e308, -1e308, 5e-324]) | st.floats(0.5, 2)
BAD = st.sampled_from([math.nan, math.inf, -math.inf])
STATUSES = st.sampled_from([DONE] * 12 + [FAILED, DIVERGED, UNFINISHED, UNREADABLE])
SEEDS = 6

NARROW, WIDE = (value("loss", {"model.width": width}) for width in (1, 4))
STATISTICS: list[Statistic] = [
    NARROW,
    *(difference(of=NARROW, minus=other) for other in (WIDE, 1.0)),
    *(ratio(of=NARROW, to=other) for other in (WIDE, 1.0)),
    *(
        kind("loss", along=along)
        for kind in (slope, peak, valley, peak_ratio, rank_correlation)
        for along in ("model.width", "size")
    ),
]
REGION = st.sampled_from(
    [at_most(1), at_least(0), between(1, 2), between(-1, 1), exactly(2), at_least(-1e308)]
)
DIVERGED_AS = st.sampled_from(["refuse", "leave_out", 1.0, 0.0, -1.0, math.inf, -math.inf])
CELL = st.none() | st.tuples(STATUSES, VALUES | VALUES | VALUES | BAD, VALUES)
WHOLE_CELL = st.tuples(st.just(DONE), VALUES, VALUES)


@settings(deadline=None, max_examples=150)
@given(
    statistic=st.sampled_from(STATISTICS),
    region=REGION,
    diverged=DIVERGED_AS,
    cells=st.one_of(
        st.lists(st.lists(cell, min_size=3, max_size=3), min_size=SEEDS, max_size=SEEDS)
        for cell in (CELL, WHOLE_CELL)
    ),
    order=st.randoms(use_true_random=False),
    present=st.sampled_from([0, 1, 5, 6, 6, 6]),
)
def test_any_runs_are_judged(run, claim, statistic, region, diverged, cells, order, present):
    runs = [
        run(seed, {"loss": value, "size": width if size < 1 else size}, status=status, model__width=width)
        for seed, row in enumerate(cells[:present])
        for width, cell in zip(WIDTHS, row, strict=True)
        if cell is not None
        for status, value, size in [cell]
    ]
    claims = [claim(statistic, region, diverged=diverged)]
    (found,) = findings = judge(claims, Table(tuple(runs)))
    json.loads(claims_json(findings), parse_constant=lambda constant: 1 / 0)
    check(found, runs, diverged)
    order.shuffle(runs)
    assert np.array_equal(ends(judge(claims, Table(tuple(runs)))[0]), ends(found), equal_nan=True)


def ends(found: Finding) -> list[float]:
    return [found.estimate, found.low, found.high]


def check(found: Finding, runs: list[Run], diverged: str | float) -> None:
    assert found.reason.endswith(".")
    assert math.isnan(found.low) or found.low <= found.estimate <= found.high
    if found.verdict == "inconclusive":
        return
    assert found.n >= found.replicates
    assert not np.isnan(ends(found)).any()
    low, high = found.region
    if found.verdict == "supported":
        assert low <= found.low <= found.high <= high
    else:
        assert found.low > high or found.high < low
    widths = (1, 4) if "[model.width=4]" in found.statistic else (1,) if "[" in found.statistic else WIDTHS
    matched = [run for run in runs if run.settings["model.width"] in widths]
    assert all(run.status in (DONE, DIVERGED) for run in matched)
    assert all(math.isfinite(run.metrics["loss"]) for run in matched if run.status == DONE)
    assert diverged != "refuse" or all(run.status == DONE for run in matched)
