import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlexp.report.bars import WIDTH, Label, interval_bar

INF = math.inf
NAN = math.nan
TEXTS = ("low", "high")


def test_finite_numbers_are_placed_in_proportion():
    bar = interval_bar(0.5, (0.25, 0.75), (0.0, 1.0), TEXTS, ("a", "b"))
    assert (bar.region.low, bar.region.high) == (66, 234)
    assert (bar.interval.low, bar.estimate, bar.interval.high) == (108, 150, 192)
    assert not bar.logarithmic
    assert bar.region.labels == (Label(62, "end", "a"), Label(238, "start", "b"))


def test_open_ends_reach_the_edges_with_their_labels_inside():
    bar = interval_bar(1.0, (1.0, INF), (-INF, 2.0), TEXTS, TEXTS)
    assert (bar.region.low, bar.interval.high) == (3, WIDTH - 3)
    assert bar.region.labels[0] == Label(3, "start", "low")
    assert bar.interval.labels[1] == Label(WIDTH - 3, "end", "high")


def test_decades_make_the_axis_logarithmic():
    bar = interval_bar(10.0, (10.0, 10.0), (1.0, 100.0), TEXTS, TEXTS)
    assert bar.logarithmic
    assert bar.estimate == 150
    assert bar.interval.labels == (Label(150, "middle", "low"),)
    with_zero = interval_bar(10.0, (10.0, 10.0), (0.0, 100.0), TEXTS, TEXTS)
    assert not with_zero.logarithmic


def test_without_an_interval_the_estimate_is_drawn_and_without_both_nothing():
    bar = interval_bar(1.0, (NAN, NAN), (0.0, 2.0), TEXTS, TEXTS)
    assert bar.interval is None
    assert bar.estimate == 150
    assert interval_bar(NAN, (NAN, NAN), (0.0, 2.0), TEXTS, TEXTS) is None


numbers = st.floats(allow_nan=False)


@example(estimate=0.0, interval=(-1.7e308, 1.7e308), region=(5e-324, 1.0))
@given(estimate=st.floats(), interval=st.tuples(numbers, numbers), region=st.tuples(numbers, numbers))
def test_any_numbers_are_placed_within_the_drawing_in_their_order(estimate, interval, region):
    interval, region = (min(interval), max(interval)), (min(region), max(region))
    bar = interval_bar(estimate, interval, region, TEXTS, TEXTS)
    places = (bar.interval.low, bar.interval.high, bar.region.low, bar.region.high)
    pairs = list(zip((*interval, *region), places, strict=True))
    pairs += [] if bar.estimate is None else [(estimate, bar.estimate)]
    ordered = sorted(pairs)
    assert [place for _, place in ordered] == sorted(place for _, place in ordered)
    assert all(3 <= place <= WIDTH - 3 for _, place in pairs)
    assert all(math.isfinite(label.x) for label in bar.interval.labels + bar.region.labels)


@pytest.mark.parametrize("region", [(-INF, INF), (INF, INF)])
def test_no_finite_number_at_all(region):
    bar = interval_bar(INF, (INF, INF), region, TEXTS, TEXTS)
    assert bar.estimate == WIDTH - 3
