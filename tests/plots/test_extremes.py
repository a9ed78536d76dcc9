"""Numbers near the largest, infinite and undefined ones: drawn, or left out with a word; never a warning."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlexp.estimate import estimate
from dlexp.plots import (
    Levels,
    band,
    bars,
    closed_form,
    colour_bar,
    crossing,
    diagonal,
    law,
    log,
    look,
    matrix,
    paths,
    scatter,
    surface,
    threshold,
    ticks_at,
    trajectory,
)
from dlexp.plots.page import finish, new_page
from dlexp.plots.runs.barrier import draw_barrier
from dlexp.plots.runs.critical_points import draw_critical_points
from dlexp.plots.runs.geometry import draw_geometry
from dlexp.plots.runs.hessian import draw_lambda_max, draw_spectral_density, draw_spectrum
from dlexp.plots.runs.landscape import Surface, draw_contours, draw_lines, draw_surfaces
from dlexp.plots.runs.ntk import draw_drift, draw_linearization
from dlexp.plots.runs.pruning import draw_pruning
from tests.thinned import thinned

INF, NAN = np.inf, np.nan
ROWS = {
    "largest": [[1e308] * 3, [1.7e308, 1.0, 1e308], [1e308, 0.5, 1e-3]],
    "both ends": [[-1e308, 1e308, 0.0], [1e308, -1e308, 1.0], [1.0, 2.0, -1e308]],
    "smallest": [[5e-324, 1.0, 1e-300], [5e-324] * 3, [0.0, 5e-324, 1e-310]],
    "infinite": [[1.0, INF, 2.0], [INF, INF, -INF], [2.0, 3.0, -INF]],
    "undefined": [[NAN, 1.0, 2.0], [NAN] * 3, [1.0, NAN, 4.0]],
    "nothing": [[NAN, INF, -INF]] * 3,
    "all": [[1e308, INF, NAN], [-1e308, 5e-324, 1.0], [0.0, 1e308, 2.0]],
}


def points_of(rows: list[list[float]]) -> list[Any]:
    """Return points as a table gives them, of the finite values, and as a careless caller may."""
    found = [(x, estimate([v for v in row if np.isfinite(v)]), row) for x, row in enumerate(rows, 1)]
    return [(float(x), e.mean, e.low, e.high, tuple(row)) for x, e, row in found]


KINDS: dict[str, Callable[[Any, list[list[float]]], Any]] = {
    "band": lambda axes, rows: band(axes, points_of(rows), "a"),
    "paths": lambda axes, rows: paths(axes, [([1, 2, 3], row) for row in rows], "a"),
    "paths along them": lambda axes, rows: paths(axes, [(row, [1, 2, 3]) for row in rows], "a"),
    "scatter": lambda axes, rows: scatter(axes, rows[0], rows[1], "a"),
    "bars": lambda axes, rows: bars(axes, {str(i): row for i, row in enumerate(rows)}),
    "law": lambda axes, rows: law(band(axes, points_of(rows), "a"), -1, points_of(rows)),
    "closed form": lambda axes, rows: closed_form(axes, [1, 2, 3], rows[0], "a"),
    "threshold": lambda axes, rows: threshold(band(axes, points_of(rows), "a"), "here", y=rows[0][0]),
    "crossing": lambda axes, rows: crossing(axes, points_of(rows), rows[0][0], "here"),
    "diagonal": lambda axes, rows: diagonal(scatter(axes, rows[0], rows[1], "a")),
    "ticks": lambda axes, rows: ticks_at(scatter(axes, rows[0], rows[1], "a"), rows[0]),
    "matrix": lambda axes, rows: colour_bar(matrix(axes, np.array(rows), numbers=True), "a"),
    "trajectory": lambda axes, rows: trajectory(axes, np.array(rows)[:, :2]),
    "surface": lambda axes, rows: colour_bar(
        surface(axes, [0, 1, 2], np.array(rows), levels := Levels([np.array(rows)])), "a", levels
    ),
}


@pytest.mark.parametrize("is_log", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize(
    "rows",
    [pytest.param(rows, id=name, marks=pytest.mark.slow) for name, rows in ROWS.items()],
)
def test_every_kind_of_figure_is_drawn_of_any_numbers(rows, is_log):
    with look():
        figure, panels = new_page((4, 4), (14, 12))
        for axes, (kind, draw) in zip(panels, KINDS.items(), strict=False):
            if is_log and kind not in ("matrix", "surface", "trajectory"):
                log(axes, "y" if kind == "bars" else "both")
            draw(axes, rows)
        finish(figure, "Extremes")
        figure.savefig("/dev/null", format="png", dpi=30)
    assert ("Left out" in figure.texts[-1].get_text().replace("\u00a0", " ")) == (rows != ROWS["smallest"])


def cycled(*shape: int) -> Any:
    values = [1e308, INF, 0.5, NAN, -1e308, 5e-324, 2.0, -INF, 1.7e308]
    return np.resize(values, shape)


STEPS = [0, 5, 10, 20]
RUNS_OF: dict[str, Callable[[], Any]] = {
    "barrier": lambda: draw_barrier(
        STEPS, np.linspace(0, 1, 5), {"linear": cycled(4, 5), "test_linear": cycled(4, 5)}, partner="a twin"
    ),
    "critical points": lambda: draw_critical_points(np.array([0, 1, 2, 2]), cycled(4), n_starts=4),
    "geometry": lambda: draw_geometry(STEPS, {"cka": cycled(4, 3)}, {0: cycled(3, 3)}, labels={}),
    "lambda_max": lambda: draw_lambda_max(
        STEPS,
        lambda_max=cycled(4),
        lambda_min=cycled(4)[::-1],
        edge=cycled(4),
        loss=(STEPS, cycled(4)),
        loss_label="mse",
    ),
    "spectrum": lambda: draw_spectrum(cycled(9), (2, 1, 6), step=1),
    "density": lambda: draw_spectral_density(
        (np.linspace(-1, 1, 9), cycled(9), cycled(1, 3), cycled(1, 3), 0.1), size=9, step=1
    ),
    "lines": lambda: draw_lines(STEPS, np.linspace(-1, 1, 5), cycled(4, 2, 5)),
    "contours": lambda: draw_contours(
        {0: Surface(np.linspace(-1, 1, 3), cycled(3, 3))}, ("a", "b"), cycled(4, 2)
    ),
    "surfaces": lambda: draw_surfaces({0: Surface(np.linspace(-1, 1, 3), cycled(3, 3))}, ("a", "b")),
    "drift": lambda: draw_drift(
        STEPS,
        drift=cycled(4),
        parameter_drift=cycled(4),
        before=cycled(3, 3),
        after=cycled(3, 3),
        last_step=20,
    ),
    "linearization": lambda: draw_linearization(
        STEPS, cycled(4), network=cycled(5, 1), linearized=cycled(5, 1), initial=cycled(5, 1), last_step=20
    ),
    "pruning": lambda: draw_pruning(
        {"pruning/density": [1.0, 0.5, 0.25], "pruning/test_loss": cycled(3)}, control="none"
    ),
}


@pytest.mark.parametrize("name", thinned(RUNS_OF, 2))
def test_every_figure_of_a_run_is_drawn_of_any_numbers(name):
    figure = RUNS_OF[name]()
    figure.savefig("/dev/null", format="png", dpi=30)
