"""Laws, closed forms, thresholds and crossings stand where they should, and their texts cover nothing."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlexp.plots import band, beside, closed_form, crossing, diagonal, law, log, threshold
from dlexp.plots.marks import LAW, MARK, crossings
from dlexp.plots.page import finish, new_page
from dlexp.plots.placed import PlacedText, obstacles


def points_of(x: Any, y: Any) -> list[Any]:
    return [(float(a), float(b), np.nan, np.nan, (float(b),)) for a, b in zip(x, y, strict=True)]


@settings(deadline=None, max_examples=30)
@given(st.floats(-4, 4), st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=5))
def test_a_law_has_its_slope_and_goes_through_the_geometric_mean(slope, y):
    axes = log(new_page()[1][0])
    x = 2.0 ** np.arange(len(y))
    law(axes, slope, points_of([*x, 0.0], [*y, 1.0]))
    (line,) = [line for line in axes.lines if line.get_label() == LAW]
    u, v = (np.log(np.asarray(data)) for data in line.get_data())
    assert np.polyfit(u, v, 1)[0] == pytest.approx(slope, abs=1e-9)
    assert np.interp(np.log(x).mean(), u, v) == pytest.approx(np.log(y).mean(), abs=1e-9)
    assert u[[0, -1]] == pytest.approx(np.log(x)[[0, -1]])


def test_a_law_says_its_slope_after_its_label(axes):
    points = points_of([1, 2], [1, 2])
    law(axes, -0.5, points)
    law(axes, 1, points, "theory")
    law(axes, 1, points[:1], "nothing to go through")
    assert [text.get_text() for text in axes.texts] == ["slope −0.5", "theory (slope 1)"]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=6), st.floats(0.1, 10), st.booleans())
def test_crossings_are_where_a_dense_interpolation_changes_sign(y, level, is_log):
    x = np.arange(1.0, len(y) + 1)
    found = crossings(x.tolist(), y, [level] * len(y), logarithmic=is_log)
    scale = np.log if is_log else np.asarray
    dense = np.linspace(scale(x[0]), scale(x[-1]), 20_001)
    excess = np.interp(dense, scale(x), np.array([scale(value) - scale(level) for value in y]))
    changes = dense[:-1][np.sign(excess[:-1]) * np.sign(excess[1:]) < 0]
    inside = [place for place in found if min(abs(x - place)) > 1e-3]
    expected = [place for place in changes if min(abs(scale(x) - place)) > 2e-3]
    assert len(inside) >= len(expected)
    assert all(min(abs(scale(np.array(found)) - place)) < 1e-3 for place in expected)


def test_a_crossing_of_two_lines_and_none_where_they_do_not(axes):
    log(axes, "x")
    x = [1.0, 4.0, 16.0]
    crossing(axes, points_of(x, x), points_of(x, [16.0, 4.0, 1.0]), "equal", color="red")
    crossing(axes, points_of(x, x), 100.0, "never")
    (line,) = [line for line in axes.lines if line.get_label() == MARK]
    assert line.get_xdata() == pytest.approx([4.0, 4.0])
    assert line.get_color() == "red"
    assert [text.get_text() for text in axes.texts] == ["equal"]


def test_thresholds_and_diagonals(axes):
    threshold(axes, "edge", y=2.0)
    threshold(axes, x=3.0)
    axes.set(xlim=(0, 4), ylim=(-1, 3))
    diagonal(axes)
    across, up, equal = axes.lines
    assert list(across.get_ydata()) == [2.0, 2.0]
    assert list(up.get_xdata()) == [3.0, 3.0]
    assert equal.get_xydata().tolist() == [[0.0, 0.0], [3.0, 3.0]]
    axes.set(xlim=(5, 6))
    assert len(diagonal(axes).lines) == 3
    assert closed_form(axes, [1, 2], [3, 4], "formula").lines[-1].get_label() == "formula"


@pytest.mark.parametrize("places", [{}, {"x": 1.0, "y": 1.0}])
def test_a_threshold_is_at_one_place(axes, places):
    with pytest.raises(ValueError, match="is at an x or at a y"):
        threshold(axes, "edge", **places)


@pytest.mark.parametrize("seed", range(6))
def test_texts_stand_in_the_panel_and_cover_no_line_where_there_is_room(seed):
    random = np.random.default_rng(seed)
    figure, (axes,) = new_page()
    x = np.geomspace(1, 1000, 6)
    lines = [points_of(x, random.uniform(0.5, 2) * x ** -random.uniform(0.3, 1.5)) for _ in range(2)]
    log(axes)
    for i, points in enumerate(lines):
        band(axes, points, f"line {i}")
    law(axes, -1, lines[0], "theory")
    threshold(axes, "noise", y=0.3)
    threshold(axes, "features = samples", x=30)
    finish(figure, "Test loss")
    figure.savefig("/dev/null", format="png")
    frame = axes.get_window_extent()
    texts = [text for text in axes.texts if isinstance(text, PlacedText)]
    assert len(texts) == 3
    for text in texts:
        box = text.get_window_extent()
        assert frame.x0 - 1 <= box.x0 < box.x1 <= frame.x1 + 1
        assert frame.y0 - 1 <= box.y0 < box.y1 <= frame.y1 + 1
        drawn = obstacles(axes, text)
        assert not ((drawn > (box.x0, box.y0)) & (drawn < (box.x1, box.y1))).all(axis=1).any()


def test_a_text_beside_a_line_that_is_out_of_sight_stays_where_it_is(axes):
    axes.set(xlim=(0, 1), ylim=(0, 1))
    beside(axes, "far away", [(5, 5), (6, 6)])
    (text,) = axes.texts
    text.place()
    assert text.get_position() == (0, 0)
