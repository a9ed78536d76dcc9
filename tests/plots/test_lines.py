"""What `band`, `paths`, `scatter` and `bars` draw is what they are given."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlexp.estimate import estimate
from dlexp.plots import band, bars, log, paths, scatter
from dlexp.plots.lines import INTERVAL, RUNS
from dlexp.plots.page import new_page

VALUES = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=6)


def points_of(replicates: list[list[float]]) -> list[Any]:
    return [(float(x), *estimate(values)[1:4], values) for x, values in enumerate(replicates, 1)]


def labelled(axes: Any, label: str) -> list[Any]:
    return [line for line in axes.lines if line.get_label() == label]


def band_ends(axes: Any) -> dict[float, tuple[float, float]]:
    (found,) = [c for c in axes.collections if c.get_label() == INTERVAL]
    vertices = found.get_paths()[0].vertices
    ends = {x: vertices[vertices[:, 0] == x, 1] for x in np.unique(vertices[:, 0])}
    return {float(x): (float(y.min()), float(y.max())) for x, y in ends.items()}


@settings(deadline=None, max_examples=30)
@given(st.lists(VALUES, min_size=1, max_size=4), st.booleans())
def test_a_band_shows_its_points(replicates, is_log):
    axes = new_page()[1][0]
    points = points_of(replicates)
    band(log(axes, "y") if is_log else axes, points, "measured")
    (line,) = labelled(axes, "measured")
    assert line.get_xydata().tolist() == [[x, mean] for x, mean, *_ in points]
    (dots,) = labelled(axes, RUNS)
    assert sorted(map(tuple, dots.get_xydata())) == sorted((x, v) for x, *_, vs in points for v in vs)
    for x, mean, low, high, _ in points:
        bottom, top = band_ends(axes)[x]
        if is_log:  # symmetric in logarithms, and of the plain interval's width where that is narrow
            assert bottom * top == pytest.approx(mean**2)
            assert np.log(top / bottom) == pytest.approx((high - low) / mean)
        else:
            assert (bottom, top) == pytest.approx((low, high))


def test_one_replicate_has_no_interval_and_no_dot(axes):
    band(axes, points_of([[1.0], [2.0]]), "one seed")
    assert band_ends(axes) == {1.0: (1.0, 1.0), 2.0: (2.0, 2.0)}
    assert labelled(axes, RUNS) == []


def test_means_that_are_not_positive_have_no_band_on_a_logarithmic_axis(axes):
    band(log(axes, "y"), points_of([[1.0, 2.0], [0.0, 0.0], [1.0, 3.0], [2.0, 3.0]]))
    found = axes.collections[0].get_paths()
    assert {x for path in found for x in path.vertices[:, 0]} == {1.0, 3.0, 4.0}


def test_paths_show_every_run_and_the_mean_where_all_are(axes):
    runs = [([0, 1, 2], [1.0, 2.0, np.inf]), ([2, 1, 0], [5.0, 4.0, 3.0]), ([0, 1], [2.0, np.nan])]
    paths(axes, runs, "lr 0.1")
    drawn = [line.get_xydata().tolist() for line in labelled(axes, RUNS)]
    assert drawn == [[[0, 1], [1, 2]], [[0, 3], [1, 4], [2, 5]], [[0, 2]]]
    (mean,) = labelled(axes, "lr 0.1")
    assert mean.get_xydata().tolist() == [[0.0, 2.0]]
    assert band_ends(axes)[0.0] == pytest.approx(estimate([1.0, 3.0, 2.0])[2:4])


def test_a_path_needs_a_value_for_each_position(axes):
    with pytest.raises(ValueError, match=r"positions of shape \(2,\) and values of shape \(3,\)"):
        paths(axes, [([0, 1], [1.0, 2.0, 3.0])])


def test_scatter_shows_each_pair_paler_where_they_are_many(axes):
    scatter(axes, [1, 2], [3, 4], "few")
    scatter(axes, range(200), range(200), "many")
    few, many = axes.lines
    assert few.get_xydata().tolist() == [[1, 3], [2, 4]]
    assert few.get_linestyle() == many.get_linestyle() == "None"
    assert many.get_alpha() < few.get_alpha()


@pytest.mark.parametrize("is_log", [False, True])
def test_bars_show_means_intervals_and_runs(axes, is_log):
    groups = {"SGD": [1.0, 3.0], "Adam": [None, 5.0], "none": [None, np.nan]}
    bars(log(axes, "y") if is_log else axes, groups)
    assert [label.get_text() for label in axes.get_xticklabels()] == list(groups)
    assert [bar.get_height() for bar in axes.patches] == ([] if is_log else [2.0, 5.0])
    means = axes.lines[-1]
    assert means.get_xydata().tolist() == [[0.0, 2.0], [1.0, 5.0]]
    (dots,) = labelled(axes, RUNS)
    assert dots.get_ydata().tolist() == [1.0, 3.0]
    assert all(0 < x < 0.5 for x in dots.get_xdata())


def test_what_has_no_values_is_drawn_as_nothing(axes):
    band(axes, [], "a")
    paths(axes, [], "b")
    scatter(axes, [], [], "c")
    assert all(len(line.get_xdata()) == 0 for line in axes.lines)
    assert {line.get_label() for line in axes.lines} == {"a", "b", "c"}
