import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy
import pytest
from dlexp.studies.runs import Run
from scipy.stats import t as student

from dlexp.studies.style import COLOURS

MakeRun = Callable[..., Run]
FigureOf = Callable[..., Any]
WIDTHS = (1, 2, 5, 50, 200)


def power_law(make_run: MakeRun, slope: float = -1.0, seeds: int = 3, arm: str = "a") -> list[Run]:
    return [
        make_run(
            {"arm": arm, "model.width": width, "data.n_train": 100},
            {"drift": 3 * width**slope * (1 + 0.1 * (seed - 1)), "model/parameters": 22.0 * width + 1},
            seed=seed,
        )
        for width in WIDTHS
        for seed in range(seeds)
    ]


def curves(**panel: Any) -> dict[str, Any]:
    lines = panel.pop("lines", [{"metric": "drift", "where": {"arm": "a"}, "label": "drift"}])
    return {"kind": "curves", "along": "model.width", "panels": [{"lines": lines, **panel}]}


def test_means_intervals_and_single_runs(
    make_run: MakeRun, figure_of: FigureOf, line_of: Callable[..., Any], text: Callable[[Any], str]
) -> None:
    runs = power_law(make_run)
    figure = figure_of(runs, **curves())
    (axes,) = figure.axes
    mean = line_of(axes, "drift")
    assert list(mean.get_xdata()) == list(WIDTHS)
    assert list(mean.get_ydata()) == pytest.approx([3 / width for width in WIDTHS])
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    for width in WIDTHS:
        half = (
            student.ppf(0.975, 2) * (0.3 / width) / math.sqrt(3)
        )  # the seeds' standard deviation is .3 / width
        here = corners[corners[:, 0] == width, 1]
        assert here.max() == pytest.approx(3 / width + half)
        assert here.min() == pytest.approx(3 / width - half)
    (dots,) = [line for line in axes.lines if line.get_marker() == "."]
    assert len(dots.get_xdata()) == 15
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "5", "50", "200"]
    assert axes.get_xlabel() == "width (hidden units per layer)"
    assert axes.get_ylabel() == "drift"
    assert "mean over 3 seeds; band: its 95 % interval; dots: single runs" in text(figure)
    assert text(figure).startswith("Title")


def test_law_goes_through_the_mean_with_its_slope(
    make_run: MakeRun, figure_of: FigureOf, text: Callable[[Any], str]
) -> None:
    runs = power_law(make_run, -0.7)
    figure = figure_of(runs, **curves(laws=[{"slope": -0.5, "label": "theory"}]))
    (axes,) = figure.axes
    (law,) = [line for line in axes.lines if len(line.get_xdata()) == 61]
    x, y = numpy.log(law.get_xdata()), numpy.log(law.get_ydata())
    assert numpy.diff(y) / numpy.diff(x) == pytest.approx(-0.5)
    centre = numpy.log(WIDTHS).mean()
    assert numpy.interp(centre, x, y) == pytest.approx(math.log(3) - 0.7 * centre)
    assert numpy.exp(x[[0, -1]]) == pytest.approx([1, 200])
    assert "theory (slope −0.5)" in text(figure)


def test_law_of_another_line_and_of_none(
    make_run: MakeRun, figure_of: FigureOf, text: Callable[[Any], str]
) -> None:
    runs = [*power_law(make_run, -1), *power_law(make_run, -0.5, arm="b")]
    lines = [{"metric": "drift", "where": {"arm": arm}, "label": arm} for arm in ("a", "absent", "b")]
    figure = figure_of(
        runs, **curves(lines=lines, laws=[{"slope": -0.5, "line": 2}, {"slope": 1, "line": "absent"}])
    )
    laws = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 61]
    (law,) = laws
    assert law.get_ydata()[-1] == pytest.approx(3 * 200**-0.5)
    assert "No values yet: absent." in text(figure)
    assert "No line for slope 1: its runs are missing." in text(figure)


def test_texts_cover_no_line_and_stay_inside(make_run: MakeRun, figure_of: FigureOf) -> None:
    runs = power_law(make_run)
    figure = figure_of(runs, **curves(laws=[{"slope": -0.8}], horizontal=[{"at": 0.5, "label": "threshold"}]))
    (axes,) = figure.axes
    frame = axes.get_window_extent()
    assert {text.get_text() for text in axes.texts} == {"slope −0.8", "threshold"}
    for text in axes.texts:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1
        for line in axes.lines:
            places = line.get_transform().transform(numpy.column_stack(line.get_data()))
            for start, end in pairwise(places):
                path = start + numpy.linspace(0, 1, 200)[:, None] * (end - start)
                inside = (path > box.min) & (path < box.max)
                assert not inside.all(axis=1).any() or line.get_marker() == "."


def test_thresholds(make_run: MakeRun, figure_of: FigureOf, text: Callable[[Any], str]) -> None:
    runs = power_law(make_run)
    equal = {"where_equal": ["model/parameters", "data.n_train"], "label": "parameters = samples"}
    figure = figure_of(
        runs, **curves(vertical=[equal, {"at": 300, "label": "far"}], horizontal=[{"at": 1e-4}])
    )
    (axes,) = figure.axes
    upright = sorted(line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1)
    # between 2 (45 parameters) and 5 (111), where the logarithm of the ratio to 100 samples crosses 0
    share = math.log(100 / 45) / math.log(111 / 45)
    assert upright == pytest.approx([2 * (5 / 2) ** share, 300])
    assert axes.get_xlim()[1] > 300
    assert axes.get_ylim()[0] < 1e-4
    assert "parameters = samples" in text(figure)
    nowhere = {"where_equal": ["data.n_train", "no/metric"], "label": "nowhere"}
    assert "Nowhere here: nowhere." in text(figure_of(runs, **curves(vertical=[nowhere])))


def test_thresholds_of_lines_that_differ_have_their_colours(make_run: MakeRun, figure_of: FigureOf) -> None:
    runs = power_law(make_run)
    runs += [
        make_run(
            {"arm": "b", "model.width": w, "data.n_train": 1000}, {"drift": 1.0, "model/parameters": 22.0 * w}
        )
        for w in WIDTHS
    ]
    lines = [{"metric": "drift", "where": {"arm": arm}, "label": arm} for arm in ("a", "b")]
    equal = {"where_equal": ["model/parameters", "data.n_train"], "label": "equal"}
    (axes,) = figure_of(runs, **curves(lines=lines, vertical=[equal])).axes
    colours = [line.get_color() for line in axes.lines if len(set(line.get_xdata())) == 1]
    assert colours == list(COLOURS[:2])
    assert [text.get_text() for text in axes.texts] == ["equal"]


def test_controls_are_grey_and_references_thin_and_black(
    make_run: MakeRun, figure_of: FigureOf, line_of: Callable[..., Any]
) -> None:
    runs = [*power_law(make_run), *power_law(make_run, -0.2, arm="b")]
    lines = [
        {"metric": "drift", "where": {"arm": "a"}, "label": "drift"},
        {"metric": "drift", "where": {"arm": "b"}, "label": "nothing", "control": True},
        {"metric": "model/parameters", "where": {"arm": "a"}, "label": "exact", "reference": True},
    ]
    figure = figure_of(runs, **curves(lines=lines))
    (axes,) = figure.axes
    (legend,) = figure.legends
    assert [entry.get_text() for entry in legend.get_texts()] == ["drift", "nothing (control)", "exact"]
    control = line_of(axes, "nothing (control)")
    red, green, blue = (int(control.get_color()[i : i + 2], 16) for i in (1, 3, 5))
    assert red == green == blue > 80
    assert control.get_linestyle() == "--"
    exact = line_of(axes, "exact")
    assert (exact.get_color(), exact.get_marker()) == ("#000000", "None")
    assert list(exact.get_ydata()) == [22 * width + 1 for width in WIDTHS]
    assert len(axes.collections) == 2  # bands of the two measured lines


def test_values_below_the_floor_of_a_log_axis(
    make_run: MakeRun, figure_of: FigureOf, text: Callable[[Any], str]
) -> None:
    runs = [
        make_run({"arm": "a", "model.width": width}, {"drift": value}, seed=seed)
        for width, value in ((1, 1.0), (2, 1e-3), (5, 0.0), (50, 1e-20))
        for seed in range(2)
    ]
    figure = figure_of(runs, **curves())
    (axes,) = figure.axes
    (below,) = [line for line in axes.lines if line.get_marker() == "v"]
    assert list(below.get_xdata()) == [5, 50]
    assert list(below.get_ydata()) == pytest.approx([1e-8] * 2)
    assert "▼ drift below 1e-8." in text(figure)
    linear = figure_of(runs, **curves(scale="linear"))
    assert linear.axes[0].get_yscale() == "linear"


def test_runs_of_one_seed_are_no_replicates_and_the_left_out_are_counted(
    make_run: MakeRun, figure_of: FigureOf, line_of: Callable[..., Any], text: Callable[[Any], str]
) -> None:
    runs = [
        make_run({"arm": "a", "model.width": width, "repeat": repeat}, {"drift": seed + repeat}, seed=seed)
        for width in (1, 2)
        for seed in (1, 2)
        for repeat in (0, 1)
    ]
    runs += [
        make_run({"arm": "a", "model.width": 1}, {"drift": 100.0}, seed=7, status="diverged"),
        make_run({"arm": "b", "model.width": 1}, {"drift": 100.0}, seed=7, status="failed"),
        make_run({"arm": "a", "model.width": 1}, {"drift": math.inf}, seed=8),
    ]
    figure = figure_of(runs, **curves())
    (axes,) = figure.axes
    assert list(line_of(axes, "drift").get_ydata()) == pytest.approx([2.0, 2.0])
    (band,) = axes.collections
    half = student.ppf(0.975, 1) * math.sqrt(0.5) / math.sqrt(2)  # of 1.5 and 2.5
    assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(2 + half)
    assert "over 2 seeds" in text(figure)
    assert "Left out: 1 run that failed, diverged or did not finish (yet)." in text(figure)
    assert "Missing or not finite in 1 run: some values, left out." in text(figure)


def test_along_a_metric_settings_stand_at_its_mean(
    make_run: MakeRun, figure_of: FigureOf, line_of: Callable[..., Any]
) -> None:
    runs = [
        make_run(
            {"arm": "a", "model.width": width},
            {"drift": float(width), "size": 10.0 * width + seed},
            seed=seed,
        )
        for width in (1, 2)
        for seed in (0, 2)
    ]
    figure = figure_of(runs, **{**curves(), "along": "size"})
    mean = line_of(figure.axes[0], "drift")
    assert list(mean.get_xdata()) == pytest.approx([11, 21])
    assert list(mean.get_ydata()) == pytest.approx([1, 2])


def test_full_batch_stands_at_the_number_of_samples(
    make_run: MakeRun, figure_of: FigureOf, line_of: Callable[..., Any]
) -> None:
    runs = [
        make_run({"arm": "a", "data.batch_size": b, "data.n_train": 200}, {"drift": 1.0}) for b in ("full", 4)
    ]
    figure = figure_of(runs, **{**curves(), "along": "data.batch_size"})
    assert list(line_of(figure.axes[0], "drift").get_xdata()) == [4, 200]


@pytest.mark.parametrize(
    ("where", "widths"),
    [
        ({"model.width": 2.0}, [2]),
        ({"model.width": [1, 50]}, [1, 50]),
        ({"model.width": "2"}, []),
        ({"model.width": True}, []),
        ({"absent": None}, [1, 2, 5, 50, 200]),
        ({"absent": 1}, []),
    ],
)
def test_conditions(
    make_run: MakeRun, figure_of: FigureOf, line_of: Callable[..., Any], where: Any, widths: list[int]
) -> None:
    figure = figure_of(
        power_law(make_run), **curves(lines=[{"metric": "drift", "where": where, "label": "x"}])
    )
    assert (figure is None) == (not widths)
    if widths:
        assert list(line_of(figure.axes[0], "x").get_xdata()) == widths


def test_panels_of_one_quantity_share_its_axis_unless_told(make_run: MakeRun, figure_of: FigureOf) -> None:
    runs = power_law(make_run)
    lines = [{"metric": "drift", "where": {"model.width": [w, 1]}, "label": "drift"} for w in (2, 200)]
    panels = [{"lines": [line], "title": str(i)} for i, line in enumerate(lines)]
    shared = figure_of(runs, kind="curves", along="model.width", panels=panels)
    apart = figure_of(runs, kind="curves", along="model.width", panels=panels, share_y=False)
    assert shared.axes[0].get_ylim() == shared.axes[1].get_ylim()
    assert apart.axes[0].get_ylim() != apart.axes[1].get_ylim()
    assert len(shared.legends) == 1


def test_panels_with_lines_of_their_own_have_legends_of_their_own(
    make_run: MakeRun, figure_of: FigureOf
) -> None:
    runs = power_law(make_run)
    panels = [{"lines": [{"metric": m, "label": m}]} for m in ("drift", "model/parameters")]
    figure = figure_of(runs, kind="curves", along="model.width", panels=panels)
    assert figure.legends == []
    for axes in figure.axes:
        legend = axes.get_legend().get_window_extent()
        assert legend.y1 < axes.get_window_extent().y0
        assert legend.y0 > figure.texts[1].get_window_extent().y1


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_nothing_covers_anything(make_run: MakeRun, figure_of: FigureOf, n: int) -> None:
    runs = power_law(make_run)
    lines = [
        {"metric": "drift", "label": f"a rather long label {i}", "where": {"arm": "a"}} for i in range(4)
    ]
    vertical = [{"at": 4.0, "label": "a threshold"}, {"at": 5.0, "label": "another threshold"}]
    panels = [{"lines": lines, "title": f"panel {i}", "vertical": vertical} for i in range(n)]
    keys = {"kind": "curves", "along": "model.width", "panels": panels, "title": "A long title " * 12}
    figure = figure_of(runs, **keys)
    assert figure.get_figwidth() <= 7.5
    (legend,) = figure.legends or [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    boxes = [text.get_window_extent() for text in figure.texts] + [legend.get_window_extent()]
    boxes += [axes.get_tightbbox() for axes in figure.axes if axes.axison]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1 + 1
        assert not any(box.shrunk(0.99, 0.99).overlaps(other.shrunk(0.99, 0.99)) for other in boxes[i + 1 :])
    for axes in figure.axes:
        one, other = (text.get_window_extent() for text in axes.texts[:2]) if axes.texts else (None, None)
        assert one is None or not one.overlaps(other)
