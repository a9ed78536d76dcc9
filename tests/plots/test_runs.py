"""Figures of a run hold the arrays that they are given."""

from typing import Any

import numpy as np
import pytest

from dlexp.plots.runs.barrier import draw_barrier
from dlexp.plots.runs.critical_points import draw_critical_points
from dlexp.plots.runs.geometry import PANELS, draw_geometry
from dlexp.plots.runs.hessian import draw_lambda_max, draw_spectral_density, draw_spectrum
from dlexp.plots.runs.landscape import Surface, draw_contours, draw_lines, draw_surfaces
from dlexp.plots.runs.ntk import draw_drift, draw_linearization
from dlexp.plots.runs.pruning import TITLES, draw_pruning


def lines_of(axes: Any) -> dict[str, Any]:
    return {line.get_label(): line for line in axes.lines if not str(line.get_label()).startswith("_")}


def titles(figure: Any) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


def test_geometry_shows_the_first_and_the_last_step_and_the_heat_maps():
    random = np.random.default_rng(0)
    values = {measure: random.random((3, 4)) for measure in PANELS}
    values["twonn_dimension"][:] = np.nan
    maps = {0: random.random((4, 4)), 80: random.random((4, 4))}
    figure = draw_geometry([0, 40, 80], values, maps, labels={"probe_error": "error rate"})
    panels = figure.axes[:8]
    for axes, (measure, array) in zip(panels, values.items(), strict=False):
        if measure != "twonn_dimension":
            drawn = lines_of(axes)
            assert drawn["step 0"].get_ydata().tolist() == array[0].tolist()
            assert drawn["step 80"].get_ydata().tolist() == array[2].tolist()
    assert panels[0].get_ylabel() == "error rate"
    assert [text.get_text() for text in panels[3].texts] == ["not defined"]
    for axes, found in zip(panels[6:], maps.values(), strict=True):
        assert np.array_equal(axes.images[0].get_array(), found)
        assert axes.get_ylim()[0] < axes.get_ylim()[1]  # the input below


def test_one_step_is_drawn_once_and_spare_panels_are_taken_away():
    figure = draw_geometry([7], {measure: np.ones((1, 3)) for measure in list(PANELS)[:5]}, {}, labels={})
    assert len(figure.axes) == 5
    assert all(list(lines_of(axes)) == ["step 7"] for axes in figure.axes)


def test_barriers_are_above_the_straight_line_of_the_ends():
    positions = np.linspace(0, 1, 3)
    losses = {
        "linear": np.array([[0.0, 2.0, 2.0], [1.0, 3.0, 0.0]]),
        "curve": np.array([1.0, 0.5, 0.0]),
        "test_linear": np.array([[9.0, 9.0, 9.0], [1.0, 60.0, 1.0]]),
    }
    figure = draw_barrier([0, 10], positions, losses, partner="a twin")
    train, test, barrier = figure.axes
    assert lines_of(train)["straight line"].get_ydata().tolist() == [1.0, 3.0, 0.0]
    assert test.get_yscale() == "log"
    assert train.get_yscale() == "linear"
    assert lines_of(barrier)["straight line"].get_xydata().tolist() == [[0.0, 1.0], [10.0, 2.5]]
    assert lines_of(barrier)["Bezier curve"].get_xydata().tolist() == [[10.0, 0.0]]


@pytest.mark.parametrize(("edge", "is_drawn"), [(5.0, True), (1000.0, False)])
def test_an_edge_far_above_is_named_and_not_drawn(edge, is_drawn):
    values = {"lambda_max": [1.0, 6.0], "lambda_min": [-1.0, 0.0], "edge": [edge] * 2}
    loss = ([0, 10], [1.0, 0.01])
    page = draw_lambda_max([0, 10], **values, loss=loss, loss_label="mean squared error")
    upper, lower = page.axes
    assert lines_of(upper)["largest eigenvalue"].get_ydata().tolist() == [1.0, 6.0]
    assert lines_of(upper)["smallest eigenvalue"].get_ydata().tolist() == [-1.0, 0.0]
    (line,) = [line for label, line in lines_of(upper).items() if label.startswith("edge of stability")]
    assert np.isfinite(line.get_ydata()).all() == is_drawn
    assert ("above" in line.get_label()) != is_drawn
    assert upper.get_ylim()[1] < 10
    assert lower.get_yscale() == "log"
    assert "mean squared error" in lower.get_ylabel()


def test_a_spectrum_counts_every_eigenvalue_and_mixes_no_signs():
    values = np.array([-2.0, -1e-3, 0.0, 0.0, 1e-3, 5.0, 5.0])
    (axes,) = draw_spectrum(values, (2, 2, 3), step=3).axes
    bars = [bar for bar in axes.patches if bar.get_height()]
    assert sum(bar.get_height() for bar in bars) == 5
    assert all(bar.get_x() >= -1e-9 or bar.get_x() + bar.get_width() <= 1e-9 for bar in bars)
    assert lines_of(axes)["zero"].get_ydata()[-1] == 2


def test_a_density_says_what_lies_on_either_side():
    grid = np.linspace(-1, 3, 9)
    estimate = (grid, np.exp(-(grid**2)), np.array([[-0.5, 2.0, 0.0]]), np.array([[0.25, 0.5, 0.25]]), 0.1)
    figure = draw_spectral_density(estimate, size=17, step=5)
    text = figure.texts[1].get_text().replace("\u00a0", " ")
    assert "25 % below -0.1, 50 % above 0.1" in text
    assert np.array_equal(figure.axes[0].lines[0].get_xdata(), grid)


def test_landscapes_show_their_losses():
    at = np.linspace(-1, 1, 5)
    surface = Surface(at, 1 + at[:, None] ** 2 + 100 * at**2)
    path = np.array([[0.5, 0.5], [0.0, 0.0]])
    contours = draw_contours({0: surface, 9: surface}, ("first", "second"), path)
    assert titles(contours)[:2] == ["Step 0", "Step 9"]
    first, last, bar = contours.axes
    assert "networks measured" not in lines_of(first)
    assert np.array_equal(lines_of(last)["networks measured"].get_xydata(), path)
    assert bar.get_ylabel() == "training loss"
    assert [axes.name for axes in draw_surfaces({0: surface, 9: surface}, ("a", "b")).axes] == ["3d", "3d"]
    losses = np.array([[[1.0, 0.5, 1.0], [2.0, 0.5, 2.0]], [[3.0, 0.01, 3.0]] * 2])
    (axes,) = draw_lines([0, 10], np.array([-1, 0, 1]), losses).axes
    assert axes.get_yscale() == "log"
    assert [line.get_ydata().tolist() for line in axes.lines] == losses.reshape(4, 3).tolist()


def test_kernels_are_on_one_scale_and_drifts_apart_on_a_logarithmic_axis():
    before, after = np.eye(3), 5 * np.eye(3)
    values = {"drift": [0.0, 0.5], "parameter_drift": [0.0, 0.01]}
    figure = draw_drift([0, 10], **values, before=before, after=after, last_step=10)
    drift, *maps, _ = figure.axes
    assert drift.get_yscale() == "log"
    assert lines_of(drift)["weights"].get_ydata().tolist() == values["parameter_drift"]
    assert {axes.images[0].get_clim() for axes in maps} == {(0.0, 5.0)}
    assert np.array_equal(maps[1].images[0].get_array(), after)
    f = np.array([[0.0], [1.0]])
    _, right = draw_linearization(
        [0, 9], [0.0, 0.1], network=f, linearized=2 * f, initial=-f, last_step=9
    ).axes
    assert lines_of(right)["network, step 9"].get_xydata().tolist() == [[0.0, 0.0], [2.0, 1.0]]


def test_pruning_goes_from_dense_to_sparse():
    values = {
        "pruning/density": [1.0, 0.5, 0.25],
        "pruning/test_loss": [0.2, np.nan, 0.4],
        "pruning/test_error": [0.1] * 3,
    }
    figure = draw_pruning(values, control="random")
    loss, error = figure.axes
    assert loss.xaxis_inverted()
    assert [label.get_text() for label in loss.get_xticklabels()] == ["25", "50", "100"]
    (kept,) = [line for line in loss.lines if line.get_label().startswith("_child")]
    assert kept.get_xydata().tolist() == [[0.25, 0.4], [1.0, 0.2]]
    assert (loss.get_ylabel(), error.get_ylabel()) == ("test loss", "test error")
    assert figure.texts[0].get_text() == TITLES["random"]


def test_critical_points_have_their_mean_at_each_index():
    index, loss = np.array([0, 2, 2]), np.array([0.1, 0.4, 0.6])
    (axes,) = draw_critical_points(index, loss, n_starts=9).axes
    assert lines_of(axes)["critical point"].get_xydata().tolist() == [[0, 0.1], [2, 0.4], [2, 0.6]]
    assert lines_of(axes)["mean"].get_xydata().tolist() == [[0, 0.1], [2, 0.5]]
    assert axes.get_xticks().tolist() == [0, 1, 2]
    assert len(draw_critical_points(index[:0], loss[:0], n_starts=9).axes) == 1
