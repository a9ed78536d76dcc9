import math
from collections.abc import Callable
from typing import Any

import numpy
import pytest
from dlexp.studies.runs import Run
from scipy.stats import t as student

MakeRun = Callable[..., Run]
FigureOf = Callable[..., Any]
AT = numpy.linspace(-1, 1, 5)
BOWL = AT[:, None] ** 2 + 3 * AT[None, :] ** 2 + 0.5


def test_scatter_has_a_point_a_run(
    make_run: MakeRun, figure_of: FigureOf, line_of: Callable[..., Any], text: Callable[[Any], str]
) -> None:
    runs = [
        make_run({"arm": arm}, {"a": 1.0 + seed, "b": 2.0 * seed + (arm == "y")}, seed=seed)
        for arm in ("x", "y")
        for seed in range(3)
    ]
    runs += [
        make_run({"arm": "x"}, {"a": math.nan, "b": 1.0}),
        make_run({"arm": "x"}, {"a": 1.0}, status="failed"),
    ]
    groups = [{"where": {"arm": arm}, "label": arm} for arm in ("x", "y", "z")]
    keys = {"kind": "scatter", "x": {"metric": "a"}, "y": {"metric": "b"}, "groups": groups}
    figure = figure_of(runs, **keys, diagonal=True)
    (axes,) = figure.axes
    points = line_of(axes, "y")
    assert list(points.get_xdata()) == [1, 2, 3]
    assert list(points.get_ydata()) == [1, 3, 5]
    assert points.get_linestyle() == "None"
    (diagonal,) = [line for line in axes.lines if len(line.get_xdata()) > 50]
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a", "b")
    written = text(figure)
    assert "equal" in written
    assert "No values yet: z." in written
    assert "Left out: 1 run that" in written


def test_scatter_of_arrays(make_run: MakeRun, figure_of: FigureOf, text: Callable[[Any], str]) -> None:
    runs = [
        make_run({}, seed=0, arrays={"f": [[1.0], [2.0]], "g": [[3.0], [numpy.nan]]}),
        make_run({}, seed=1, arrays={"f": [[5.0], [4.0]], "g": [[6.0], [7.0]]}),
        make_run({}, seed=2, arrays={"f": [[5.0], [4.0]], "g": [[6.0]]}),
    ]
    figure = figure_of(runs, kind="scatter", x={"array": "f"}, y={"array": "g"})
    (points,) = figure.axes[0].lines
    assert list(points.get_xdata()) == [1, 4, 5]
    assert list(points.get_ydata()) == [3, 7, 6]
    assert "A point is an entry of a run's array" in text(figure)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_bars(make_run: MakeRun, figure_of: FigureOf, text: Callable[[Any], str], scale: str) -> None:
    runs = [
        make_run({"mask": mask, "kept": kept}, {"error": value + 0.01 * seed}, seed=seed)
        for mask, kept, value in (
            ("ticket", 5, 0.1),
            ("ticket", 2, 0.2),
            ("random", 5, 0.3),
            ("random", 2, 0.9),
        )
        for seed in range(3)
    ]
    lines = [{"where": {"kept": kept}, "label": f"{kept} %"} for kept in (5, 2)]
    groups = [
        {"metric": "error", "where": {"mask": "ticket"}, "label": "ticket"},
        {"metric": "error", "where": {"mask": "random"}, "label": "random", "control": True},
        {"metric": "error", "where": {"mask": "none"}, "label": "none"},
    ]
    figure = figure_of(runs, kind="bars", lines=lines, groups=groups, scale=scale)
    (axes,) = figure.axes
    drawn = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert list(drawn) == ["ticket", "random (control)"]
    assert list(drawn["ticket"].get_ydata()) == pytest.approx([0.11, 0.21])
    assert list(drawn["random (control)"].get_ydata()) == pytest.approx([0.31, 0.91])
    assert (drawn["ticket"].get_xdata() < drawn["random (control)"].get_xdata()).all()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["5 %", "2 %"]
    half = student.ppf(0.975, 2) * 0.01 / math.sqrt(3)
    (whisker, *_) = axes.collections[0].get_segments()
    assert whisker[:, 1] == pytest.approx([0.11 - half, 0.11 + half])
    assert len(axes.patches) == (4 if scale == "linear" else 0)
    if scale == "linear":
        assert axes.get_ylim()[0] == 0
        assert [bar.get_height() for bar in axes.patches] == pytest.approx([0.11, 0.21, 0.31, 0.91])
    assert "No values yet: 5 %, none, 2 %, none." in text(figure)


def test_bars_without_groups_have_controls_in_grey(make_run: MakeRun, figure_of: FigureOf) -> None:
    runs = [make_run({"arm": arm}, {"m": value}) for arm, value in (("a", 3.0), ("b", 3.1), ("c", 3.2))]
    lines = [{"metric": "m", "where": {"arm": arm}, "label": arm, "control": arm == "b"} for arm in "abc"]
    (axes,) = figure_of(runs, kind="bars", lines=lines).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b (control)", "c"]
    assert [round(bar.get_x() + bar.get_width() / 2) for bar in axes.patches] == [0, 2, 1]
    assert len({bar.get_facecolor() for bar in axes.patches[:2]}) == 1
    grey = axes.patches[2].get_facecolor()
    assert grey[0] == grey[1] == grey[2]
    assert axes.get_ylim()[0] == 0  # though all values lie close together, far above it


def planes(make_run: MakeRun) -> list[Run]:
    def arrays(values: Any) -> dict[str, Any]:
        path = [[1.0, 1.0], [0.5, 0.2], [0.0, 0.0]]
        return {
            "landscape/plane_losses": values,
            "landscape/plane_coordinates": AT,
            "landscape/trajectory": path,
            "matrix": BOWL[:3],
        }

    return [
        make_run({"kind": "far"}, seed=2, arrays=arrays(BOWL * 9)),
        make_run({"kind": "far"}, seed=1, arrays=arrays(BOWL * 4)),
        make_run({"kind": "near"}, seed=1, arrays=arrays(BOWL)),
        make_run({"kind": "broken"}, seed=0, arrays=arrays(BOWL[:2])),
    ]


def test_heat_maps_share_a_scale_and_keep_their_aspect(
    make_run: MakeRun, figure_of: FigureOf, text: Callable[[Any], str]
) -> None:
    panels = [{"title": kind, "where": {"kind": kind}} for kind in ("near", "far", "broken")]
    figure = figure_of(planes(make_run), kind="surfaces", panels=panels, trajectory="landscape/trajectory")
    near, far, bar = figure.axes
    assert bar.get_ylabel() == "training loss"
    limits = [axes.collections[0].get_clim() for axes in (near, far)]
    assert limits[0] == limits[1] == pytest.approx((0.5, 4 * 4.5))  # of the first seeds, over both
    assert near.get_aspect() == far.get_aspect() == 1
    figure.draw_without_rendering()
    box = near.get_window_extent()
    assert box.width == pytest.approx(box.height, rel=1e-3)
    (last,) = [line for line in near.lines if line.get_label() == "last"]
    assert (list(last.get_xdata()), list(last.get_ydata())) == ([0], [0])
    assert "Seed 1." in text(figure)
    assert "No values yet: broken." in text(figure)
    assert figure.legends


def test_the_first_direction_is_horizontal(make_run: MakeRun, figure_of: FigureOf) -> None:
    steep = numpy.tile(numpy.array([1.0, 2, 3, 4, 5])[:, None], (1, 5))  # changes along the first direction
    arrays = {"landscape/plane_losses": steep, "landscape/plane_coordinates": AT}
    axes = figure_of([make_run({}, arrays=arrays)], kind="surfaces").axes[0]
    regions = [path.vertices for path in axes.collections[0].get_paths() if len(path.vertices)]
    assert all(numpy.ptp(region[:, 0]) < 0.5 for region in regions)
    assert all(numpy.ptp(region[:, 1]) == pytest.approx(2) for region in regions)


def test_surfaces_in_three_dimensions(make_run: MakeRun, figure_of: FigureOf) -> None:
    panels = [{"where": {"kind": kind}} for kind in ("near", "far")]
    figure = figure_of(planes(make_run), kind="surfaces", panels=panels, three_d=True)
    spatial = [axes for axes in figure.axes if axes.name == "3d"]
    assert len(spatial) == 2
    for axes in spatial:
        assert axes.get_xlim() == pytest.approx(axes.get_ylim())
        width, depth, _ = axes.get_box_aspect() if hasattr(axes, "get_box_aspect") else (1, 1, 1)
        assert width == depth
        assert axes.get_zlim() == pytest.approx((math.log10(0.5), math.log10(18)))
        assert axes.get_title() == "height: training loss"


def test_matrices(make_run: MakeRun, figure_of: FigureOf) -> None:
    keys = {"kind": "surfaces", "values": "matrix", "coordinates": None, "value_label": "kernel"}
    axes, bar = figure_of(planes(make_run), **keys, where={"kind": "near"}).axes
    (image,) = axes.images
    assert image.get_array().tolist() == pytest.approx(BOWL[:3])
    assert (axes.get_xlabel(), axes.get_ylabel(), bar.get_ylabel()) == ("column", "row", "kernel")
    assert image.get_clim() == pytest.approx((BOWL[:3].min(), BOWL[:3].max()))


def test_flat_and_partly_infinite_planes(make_run: MakeRun, figure_of: FigureOf) -> None:
    partly = BOWL.copy()
    partly[0, 0], partly[1, 1] = numpy.inf, numpy.nan
    for values in (numpy.full((5, 5), 2.0), numpy.zeros((5, 5)), partly, 1e9 * BOWL - 1e9):
        arrays = {"landscape/plane_losses": values, "landscape/plane_coordinates": AT}
        assert figure_of([make_run({}, arrays=arrays)], kind="surfaces", scale="log") is not None
        assert figure_of([make_run({}, arrays=arrays)], kind="surfaces") is not None
    arrays = {"landscape/plane_losses": numpy.full((5, 5), numpy.nan), "landscape/plane_coordinates": AT}
    assert figure_of([make_run({}, arrays=arrays)], kind="surfaces") is None
