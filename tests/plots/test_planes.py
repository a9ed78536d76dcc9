"""Planes: levels that hold all finite values, contours and surfaces of what they are given."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from dlexp.plots import Levels, colour_bar, matrix, surface, trajectory


@pytest.mark.parametrize(
    ("losses", "is_log", "ends"),
    [
        ([1.0, 5.0, np.nan, np.inf], False, (1, 5)),
        ([1.0, 50.0], True, (1, 50)),
        ([0.0, 1e-12, 2.0], True, (2e-8, 2)),
        ([0.0, 3.0], True, (0.3, 3)),
        ([-1.0, 100.0], False, (-1, 100)),
        ([2.0, 2.0], False, (1, 3)),
        ([np.nan], False, (0, 1)),
    ],
)
def test_levels_hold_all_finite_values(losses, is_log, ends):
    levels = Levels([np.array(losses)])
    assert levels.is_log == is_log
    assert levels.values[[0, -1]] == pytest.approx(ends, rel=1e-6)
    assert (np.diff(levels.values) > 0).all()
    within = levels.within(np.array(losses))
    assert ((within >= levels.values[0]) & (within <= levels.values[-1])).all()
    assert all(levels.values[0] <= tick <= levels.values[-1] for tick in levels.ticks)


def test_contours_have_the_first_direction_along_x():
    at = np.linspace(0, 1, 11)
    axes = surface(Figure().subplots(), at, np.tile(at[:, None], 11))
    _, lines = axes.collections
    for level, (segment,) in zip(lines.levels[1:], lines.allsegs[1:], strict=True):
        assert segment[:, 0] == pytest.approx(level)
        assert sorted({round(float(y), 6) for y in segment[:, 1]}) == pytest.approx(at)


def test_a_surface_in_space_has_the_logarithm_as_height():
    at = np.array([0.0, 1.0])
    axes: Any = Figure().add_subplot(projection="3d")
    surface(axes, at, np.array([[1.0, 10.0], [100.0, 1000.0]]))
    assert axes.get_zlim() == pytest.approx((0, 3))
    assert "100" in [label.get_text() for label in axes.get_zticklabels()]


def test_values_must_be_over_the_coordinates():
    with pytest.raises(ValueError, match=r"3 coordinates has 3 x 3 values, not \(2, 3\)"):
        surface(Figure().subplots(), [0, 1, 2], np.zeros((2, 3)))


def test_small_matrices_show_their_numbers():
    small, large = (matrix(Figure().subplots(), np.eye(n), numbers=True) for n in (2, 9))
    assert [text.get_text() for text in small.texts] == ["1.00", "0.00", "0.00", "1.00"]
    assert len(large.texts) == 0
    broken = matrix(Figure().subplots(), np.array([[np.nan]]), (0, 1), numbers=True)
    assert broken.texts[0].get_text() == "–"


def test_a_colour_bar_has_the_levels_ticks():
    at = np.array([0.0, 1.0])
    values = np.array([[1.0, 10.0], [100.0, 1000.0]])
    levels = Levels([values])
    bar = colour_bar(surface(Figure().subplots(), at, values, levels), "loss", levels)
    assert [label.get_text() for label in bar.get_yticklabels()] == [f"{tick:g}" for tick in levels.ticks]
    assert bar.get_ylabel() == "loss"


def test_a_trajectory_marks_its_ends():
    points = np.array([(0.0, 0.0), (1.0, 2.0), (3.0, 1.0)])
    drawn = {line.get_label(): line for line in trajectory(Figure().subplots(), points).lines}
    assert np.array_equal(drawn["networks measured"].get_xydata(), points)
    assert drawn["first"].get_xydata().tolist() == [[0.0, 0.0]]
    assert drawn["last"].get_xydata().tolist() == [[3.0, 1.0]]
