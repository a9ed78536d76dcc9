"""Pages: nothing that is written covers what is drawn, and what is missing is said."""

from typing import Any

import numpy as np
import pytest

from dlexp.plots import band, legend, log, paths, scatter, surface
from dlexp.plots.page import explain, finish, new_page
from dlexp.plots.placed import obstacles


def points_of(random: Any, n: int) -> list[Any]:
    values = random.lognormal(size=(n, 3))
    return [(float(x), v.mean(), v.min(), v.max(), tuple(v)) for x, v in enumerate(values, 1)]


def inside(points: Any, box: Any) -> int:
    return int(((points > (box.x0, box.y0)) & (points < (box.x1, box.y1))).all(axis=1).sum())


def texts_of(figure: Any) -> list[str]:
    return [text.get_text().replace("\u00a0", " ").replace("\n", " ") for text in figure.texts]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n_panels", [1, 2, 3])
def test_legends_never_cover_data_and_lie_on_the_page(seed, n_panels):
    random = np.random.default_rng(seed)
    figure, panels = new_page(n_panels)
    for i, axes in enumerate(panels):
        if random.random() < 0.5:
            log(axes, "y")
        for k in range(random.integers(1, 5)):
            label = f"line {k}" if seed % 2 else f"line {k} of panel {i}"
            if k % 2:
                scatter(axes, random.random(20), random.random(20), label)
            else:
                band(axes, points_of(random, 6), label)
    finish(figure, "A title that is long enough to be broken into two lines " * 2)
    figure.savefig("/dev/null", format="png")
    page = figure.bbox
    legends = [*figure.legends, *filter(None, (axes.get_legend() for axes in panels))]
    assert legends
    for found in legends:
        box = found.get_window_extent()
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1
        for axes in panels:
            assert inside(obstacles(axes), box) == 0
        assert not any(box.overlaps(text.get_window_extent()) for text in figure.texts if text.get_text())
        others = [axes.xaxis.get_tightbbox() for axes in panels] + [
            axes.yaxis.get_tightbbox() for axes in panels
        ]
        assert not any(box.overlaps(other) for other in others)


@pytest.mark.parametrize("seed", range(20))
def test_a_panels_own_legend_covers_no_point(axes, seed):
    random = np.random.default_rng(seed)
    scatter(axes, random.random(seed * 3 + 1), random.random(seed * 3 + 1), "points")
    band(axes, points_of(random, 3), "means")
    assert inside(obstacles(axes), legend(axes).get_window_extent()) == 0


def test_panels_that_share_a_label_share_a_legend_above():
    figure, (left, right) = new_page(2)
    for axes, labels in ((left, "ab"), (right, "bc")):
        for label in labels:
            paths(axes, [([0, 1], [1, 2])], label)
    finish(figure, "Two")
    (found,) = figure.legends
    assert [text.get_text() for text in found.get_texts()] == ["a", "b", "c"]
    assert found.get_window_extent().y0 > left.get_window_extent().y1
    assert left.get_legend() is right.get_legend() is None


def test_other_panels_have_their_own():
    figure, panels = new_page(2)
    for axes, label in zip(panels, "ab", strict=True):
        paths(axes, [([0, 1], [1, 2])], label)
    finish(figure, "Two")
    assert figure.legends == []
    assert [axes.get_legend().get_texts()[0].get_text() for axes in panels] == ["a", "b"]


def test_what_lines_and_dots_are_is_said_from_what_is_drawn():
    figure, (left, right) = new_page(2)
    band(left, [(1, 1.0, 0.5, 1.5, (0.5, 1.5)), (2, 1.0, 0.5, 1.5, (0.5, 1.0, 1.5))], "measured")
    paths(right, [([0, 1], [1, 2])] * 4, "measured")
    paths(right, [([0, 1], [1, 2])] * 2, "other")
    assert explain(figure) == [
        "Line: mean over 2 to 4 seeds; band: its 95 % interval; dots and thin lines: single runs."
    ]


def test_what_is_missing_is_said_and_takes_nothing_with_it():
    figure, (left, right) = new_page(2)
    paths(left, [([0, 1], [1, 2])], "here")
    paths(left, [], "there")
    paths(right, [], "nowhere")
    finish(figure, "Paths", ["3 runs left out."])
    assert texts_of(figure) == ["Paths", "No values yet: there, nowhere. 3 runs left out."]
    assert [text.get_text() for text in right.texts] == ["no values yet"]
    assert left.get_window_extent().width > 200
    (found,) = [*figure.legends, *filter(None, [left.get_legend()])]
    assert [text.get_text() for text in found.get_texts()] == ["here"]


@pytest.mark.parametrize(("panels", "grid"), [(1, (1, 1)), (2, (1, 2)), (3, (2, 2)), ((1, 3), (1, 3))])
def test_panels_stand_in_rows(panels, grid):
    figure, axes = new_page(panels)
    assert len(axes) == (panels if isinstance(panels, int) else 3)
    assert axes[0].get_gridspec().get_geometry() == grid
    assert figure.get_size_inches()[0] == 7.2
    assert new_page(panels, (4, 3))[0].get_size_inches().tolist() == [4, 3]


@pytest.mark.parametrize("title", ["100 $ and a half", "x$y$", "$a^$", "a $f_0$"])
def test_any_title_is_written(title):
    figure, (axes,) = new_page()
    paths(axes, [([0, 1], [1, 2])])
    finish(figure, title)
    figure.savefig("/dev/null", format="png")
    assert texts_of(figure)[0] == title


def test_long_names_of_axes_are_broken_before_what_is_in_brackets():
    figure, (left, _) = new_page(2)
    left.set_ylabel("the test loss (mean squared error)")
    finish(figure, "Loss")
    assert left.get_ylabel() == "the test loss\n(mean squared error)"


def test_planes_keep_their_aspect():
    figure, panels = new_page(2)
    for axes in panels:
        surface(axes, [0.0, 1.0, 2.0], np.arange(9.0).reshape(3, 3))
    finish(figure, "Planes")
    figure.savefig("/dev/null", format="png")
    extents = [axes.get_window_extent() for axes in panels]
    assert all(box.width == pytest.approx(box.height, rel=1e-6) for box in extents)
