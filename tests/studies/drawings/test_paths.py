from collections.abc import Callable
from typing import Any

import numpy
import pytest
from dlexp.studies.runs import Run

MakeRun = Callable[..., Run]
FigureOf = Callable[..., Any]
POSITIONS = [0.0, 0.5, 1.0]


def test_a_metric_over_steps(
    make_run: MakeRun, figure_of: FigureOf, line_of: Callable[..., Any], text: Callable[[Any], str]
) -> None:
    runs = [
        make_run(
            {}, seed=seed, history={"lambda": {0: 1.0, 50: 2.0 + seed, 100 + seed: 5.0}, "other": {0: 9.0}}
        )
        for seed in range(3)
    ]
    figure = figure_of(runs, kind="paths", lines=[{"metric": "lambda", "label": "x"}], y_label="curvature")
    (axes,) = figure.axes
    mean = line_of(axes, "x")
    assert list(mean.get_xdata()) == [0, 50]  # where all runs were measured
    assert list(mean.get_ydata()) == pytest.approx([1, 3])
    single = [list(line.get_xdata()) for line in axes.lines if line is not mean]
    assert single == [[0, 50, 100], [0, 50, 101], [0, 50, 102]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("optimizer step", "curvature")
    assert axes.get_xlim()[1] > 102
    assert axes.get_xscale() == "linear"
    assert "thin lines: single runs" in text(figure)
    crowded = {"lambda": {0: 1.0, 1: 2.0, 2: 2.0, 4: 2.0, 1000: 3.0}}
    figure = figure_of([make_run({}, history=crowded)], kind="paths", lines=[{"metric": "lambda"}])
    assert figure.axes[0].get_xscale() == "symlog"


def test_the_last_row_of_an_array_or_another(
    make_run: MakeRun, figure_of: FigureOf, line_of: Callable[..., Any]
) -> None:
    losses = numpy.array([[1.0, 2.0, 1.0], [0.0, 4.0, 0.0]])
    deep = numpy.stack([losses, 10 * losses])
    runs = [
        make_run(
            {}, seed=seed, arrays={"at": POSITIONS, "losses": losses + seed, "deep": deep, "flat": losses[1]}
        )
        for seed in (0, 1)
    ]
    lines = [
        {"x": "at", "y": "losses", "label": "last"},
        {"x": "at", "y": "losses", "row": 0, "label": "first"},
        {"x": "at", "y": "deep", "row": [1, 0], "label": "deep"},
        {"y": "flat", "label": "numbered"},
    ]
    figure = figure_of(runs, kind="paths", lines=lines)
    (axes,) = figure.axes
    drawn = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert {label: list(line.get_ydata()) for label, line in drawn.items()} == {
        "last": [0.5, 4.5, 0.5],
        "first": [1.5, 2.5, 1.5],
        "deep": [10.0, 20.0, 10.0],
        "numbered": [0.0, 4.0, 0.0],
    }
    assert list(drawn["last"].get_xdata()) == POSITIONS
    assert list(drawn["numbered"].get_xdata()) == [0, 1, 2]


def test_what_is_missing_or_broken_is_left_out_and_said(
    make_run: MakeRun, figure_of: FigureOf, line_of: Callable[..., Any], text: Callable[[Any], str]
) -> None:
    whole = {"at": POSITIONS, "losses": [1.0, 2.0, 1.0]}
    runs = [
        make_run({}, seed=0, arrays=whole),
        make_run({}, seed=1, arrays={"at": POSITIONS}),
        make_run({}, seed=2),
        make_run({}, seed=3, arrays={**whole, "losses": [1.0, 2.0]}),
        make_run({}, seed=4, arrays={**whole, "losses": [3.0, numpy.nan, numpy.inf]}),
        make_run({}, seed=5, arrays=whole),
        make_run({}, seed=6, arrays=whole, status="diverged"),
    ]
    (runs[5].folder / "arrays.npz").write_bytes(b"PK\x03\x04 broken")
    (runs[2].folder / "metrics.csv").write_text("step,epoch\n1,2\n")
    figure = figure_of(runs, kind="paths", lines=[{"x": "at", "y": "losses", "label": "x"}])
    mean = line_of(figure.axes[0], "x")
    assert list(mean.get_xdata()) == [0]
    assert list(mean.get_ydata()) == [2]
    assert "Missing or not finite in 5 runs: some values, left out." in text(figure)
    assert "Left out: 1 run that failed" in text(figure)
    assert figure_of(runs, kind="paths", lines=[{"metric": "lambda"}]) is None
    assert figure_of(runs, kind="paths", lines=[{"x": "at", "y": "losses", "row": 3}]) is not None
    deep = make_run({}, arrays={"at": POSITIONS, "losses": numpy.ones((2, 3))})
    assert figure_of([deep], kind="paths", lines=[{"x": "at", "y": "losses", "row": 5}]) is None


def test_runs_without_a_common_position_are_drawn_one_by_one(make_run: MakeRun, figure_of: FigureOf) -> None:
    runs = [make_run({}, seed=s, history={"m": {10 * s: 1.0, 10 * s + 5: 2.0}}) for s in range(2)]
    (axes,) = figure_of(runs, kind="paths", lines=[{"metric": "m", "label": "x"}]).axes
    assert sorted(list(line.get_xdata()) for line in axes.lines) == [[], [0, 5], [10, 15]]
