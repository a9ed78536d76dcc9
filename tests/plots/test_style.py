"""The look: colours that are told apart, the same for a label in all panels, files that are the same."""

from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from dlexp.plots import band, look, ramp, save
from dlexp.plots.page import finish, new_page
from dlexp.plots.style import BLACK, COLOURS, DASHES, GREYS, MARKERS

POINTS = [(1, 1.0, 0.5, 1.5, (0.9, 1.1)), (2, 2.0, 1.5, 2.5, (1.9, 2.1))]
# Viénot, Brettel and Mollon 1999: what the linear colours are to eyes without red and without green cones.
PROTAN = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
DEUTAN = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])


def lightness(colour: str) -> float:
    linear = np.array(to_rgb(colour)) ** 2.2
    return float(116 * (linear @ [0.2126, 0.7152, 0.0722]) ** (1 / 3) - 16)


def test_neighbouring_colours_are_apart_in_grey_too():
    assert all(abs(lightness(one) - lightness(other)) > 6 for one, other in pairwise(COLOURS))
    assert [lightness(colour) for colour in ramp(5)] == sorted(lightness(colour) for colour in ramp(5))
    assert len(COLOURS) == len(MARKERS) == len(DASHES) == len(set(COLOURS) - {BLACK})


@pytest.mark.parametrize("eye", [PROTAN, DEUTAN])
def test_colours_are_apart_to_the_colour_blind(eye):
    seen = [np.clip(eye @ np.array(to_rgb(colour)) ** 2.2, 0, 1) ** (1 / 2.2) for colour in COLOURS]
    gaps = [np.abs(a - b).max() for i, a in enumerate(seen) for b in seen[:i]]
    assert min(gaps) > 0.08


def test_a_label_looks_the_same_in_all_panels():
    _, (left, right) = new_page(2)
    for label in ("a", "b"):
        band(left, POINTS, label)
    for label in ("c", "b"):
        band(right, POINTS, label)
    looks = {}
    for axes in (left, right):
        for line in axes.lines:
            if not line.get_label().startswith("_"):
                looks.setdefault(line.get_label(), set()).add((line.get_color(), line.get_marker()))
    assert all(len(found) == 1 for found in looks.values())
    assert len(set.union(*looks.values())) == 3


def test_many_labels_begin_the_colours_anew_but_not_in_one_panel():
    _, panels = new_page(2)
    for i, axes in enumerate(panels):
        for k in range(len(COLOURS)):
            band(axes, POINTS, f"{i} {k}")
        drawn = [line.get_color() for line in axes.lines if not line.get_label().startswith("_")]
        assert sorted(drawn) == sorted(COLOURS)


def test_controls_are_grey_and_say_so(axes):
    band(axes, POINTS, "no noise", control=True)
    band(axes, POINTS, "negative control", control=True)
    lines = [line for line in axes.lines if not line.get_label().startswith("_")]
    assert [line.get_label() for line in lines] == ["no noise (control)", "negative control"]
    assert [line.get_color() for line in lines] == list(GREYS[:2])


def test_a_figure_gives_the_same_files_and_leaves_no_look_behind(tmp_path):
    before = dict(matplotlib.rcParams)
    for name in ("a", "b"):
        with look():
            figure, (axes,) = new_page()
            band(axes, POINTS, "measured")
            save(finish(figure, "Test loss"), tmp_path / name)
    assert dict(matplotlib.rcParams) == before
    for suffix in ("png", "svg"):
        one, other = (tmp_path / f"{name}.{suffix}" for name in ("a", "b"))
        assert one.read_bytes() == other.read_bytes()
