"""Axes that fit: every value is on them, what is not is marked, labels do not touch."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlexp.estimate import estimate
from dlexp.plots import band, bars, fit, log, paths, threshold, ticks_at
from dlexp.plots.axes import BELOW, DECADES_SHOWN, number_text, step_axis, thin_ticks
from dlexp.plots.marks import law
from dlexp.plots.page import new_page

# As near to 0 as values are drawn there.
NUMBERS = st.floats(-1e4, 1e4).map(lambda value: value if abs(value) > 1e-100 else 0.0)
REPLICATES = st.lists(st.lists(NUMBERS, min_size=1, max_size=4), min_size=1, max_size=5)
POSITIVE = st.lists(st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=4), min_size=1, max_size=5)


def points_of(replicates: list[list[float]]) -> list[Any]:
    return [(float(x), *estimate(values)[1:4], values) for x, values in enumerate(replicates, 1)]


@settings(deadline=None, max_examples=30)
@given(REPLICATES, NUMBERS)
def test_a_linear_axis_holds_every_value_and_threshold(replicates, mark):
    axes = new_page()[1][0]
    band(axes, points_of(replicates))
    threshold(axes, y=mark)
    bottom, top = fit(axes).get_ylim()
    values = [mark, *(value for values in replicates for value in values)]
    assert bottom <= min(values) <= max(values) <= top
    assert top - bottom <= 4 * (np.ptp(values) or abs(values[0]) or 1.0)  # wide intervals leave them readable
    if min(values) >= 0:
        assert bottom >= 0


@settings(deadline=None, max_examples=30)
@given(POSITIVE)
def test_a_logarithmic_axis_holds_every_value(replicates):
    axes = log(new_page()[1][0], "y")
    band(axes, points_of(replicates))
    bottom, top = fit(axes).get_ylim()
    values = [value for values in replicates for value in values]
    assert 0 < bottom <= min(values) <= max(values) <= top
    assert np.log10(top / bottom) <= np.log10(max(values) / min(values)) + 2.5
    assert not [line for line in axes.lines if line.get_label() == BELOW]


def test_what_is_below_a_logarithmic_axis_is_marked_there_once(axes):
    values = [[1.0], [0.0], [1e-30], [10.0 ** -(DECADES_SHOWN - 1)], [-1.0]]
    band(log(axes, "y"), points_of(values), "loss")
    for _ in range(2):
        fit(axes)
    (marks,) = [line for line in axes.lines if line.get_label() == BELOW]
    assert marks.get_xdata().tolist() == [2.0, 3.0, 5.0]
    (line,) = [line for line in axes.lines if line.get_label() == "loss"]
    assert line.get_clip_on()
    assert line.get_ydata().tolist() == [value for (value,) in values]


def test_what_is_not_positive_does_not_stretch_a_logarithmic_axis(axes):
    band(log(axes, "y"), points_of([[1.0], [-1e6]]))
    assert fit(axes).get_ylim()[1] < 10


def test_bars_begin_at_zero_and_laws_do_not_stretch_the_axis(axes):
    bars(axes, {"a": [9.0, 10.0]})
    assert fit(axes).get_ylim()[0] == 0
    other = log(new_page()[1][0])
    points = points_of([[1.0], [1.0], [1.0]])
    band(other, points)
    law(other, -20, points)
    bottom, top = fit(other).get_ylim()
    assert 0.1 < bottom < 1 < top < 10


def test_limits_that_were_set_stay_and_shared_axes_fit_together():
    _, (left, right) = new_page(2)
    right.sharey(left)
    paths(left, [([0, 1], [1.0, 2.0])])
    paths(right, [([0, 1], [5.0, 50.0])])
    assert fit(left).get_ylim() == fit(right).get_ylim()
    assert left.get_ylim()[1] > 50
    left.set_ylim(0, 3)
    assert fit(right).get_ylim() == (0, 3)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=20, unique=True), st.booleans())
def test_labels_of_ticks_do_not_touch_and_keep_the_ends(values, is_log):
    axes = new_page(2)[1][0]
    if is_log:
        log(axes, "x")
    axes.plot(values, values)
    thin_ticks(ticks_at(axes, values))
    labels = axes.get_xticklabels()
    boxes = sorted((label.get_window_extent().x0, label.get_window_extent().x1) for label in labels)
    texts = [label.get_text() for label in labels]
    assert texts[0] == str(min(values))
    if len(values) > 1 and np.ptp(values) > 0.3 * max(values):
        assert texts[-1] == str(max(values))
    assert all(end < start for (_, end), (start, _) in pairwise(boxes))


def test_ticks_stand_at_points_and_are_left_alone_where_these_are_many(axes):
    assert ticks_at(axes, points_of([[1.0], [2.0]])).get_xticks().tolist() == [1.0, 2.0]
    before = axes.get_xticks().tolist()
    assert ticks_at(axes, range(100)).get_xticks().tolist() == before


@pytest.mark.parametrize(
    ("steps", "scale"), [([0, 10, 20, 30], "linear"), ([0, 1, 10, 100, 1000], "symlog"), ([], "linear")]
)
def test_steps_that_crowd_at_the_beginning_are_spread(axes, steps, scale):
    assert step_axis(axes, steps).get_xscale() == scale
    assert axes.get_xlabel() == "optimizer step"


def test_few_decades_have_labels_between_them(axes):
    band(log(axes, "y"), points_of([[0.2], [0.9]]))
    fit(axes)
    assert {"0.2", "0.5"} <= {label.get_text() for label in axes.get_yticklabels()}


@pytest.mark.parametrize(("value", "text"), [(5.0, "5"), (0.25, "0.25"), (2e6, "2e6"), (1e-5, "1e-5")])
def test_numbers_are_written_as_people_do(value, text):
    assert number_text(value) == text
