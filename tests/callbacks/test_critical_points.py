"""The callback critical_points: by-hand searches, planted points, what is refused."""

import math

import numpy as np
import pytest
import torch
from torch.nn.utils import vector_to_parameters

from dlexp.callbacks.critical_points import index_metrics
from dlexp.measures.functional import mean_squared_error
from dlexp.measures.hessian import find_critical_point
from dlexp.train.build import make_datamodule
from tests.callbacks.reading import arrays_of, networks

CRITICAL_POINTS = [
    "callbacks=[critical_points]",
    "data=sine_cosine",
    "data.input_dim=2",
    "data.n_train=30",
    "model.width=3",
    "model.activation=tanh",
    "optimizer=sgd",
    "optimizer.lr=0.2",
    "optimizer.weight_decay=0.01",
    "data.batch_size=full",
    "trainer.precision=64-true",
    "trainer.max_steps=60",
    "callbacks.critical_points.every_n_steps=10",
]


def test_the_trained_network_starts_a_search_of_the_objective_trained(run):
    """Without noise; the search is done again here, and what it found is critical by plain autograd."""
    result, folder = run(
        *CRITICAL_POINTS,
        "trainer.max_steps=2000",
        "callbacks.critical_points.noise=0",
        "callbacks.critical_points.at_start=false",
        "callbacks.critical_points.every_n_steps=null",
    )
    assert result.metrics["critical_points/converged_fraction"] == 1
    last = networks(result.config, folder)[1]
    data = make_datamodule(result.config).tensors("cpu", torch.float64)
    again = find_critical_point(last, mean_squared_error, data.x_train, data.y_train, weight_decay=0.01)
    arrays = arrays_of(folder)
    assert arrays["critical_points/index"].tolist() == [int(again.index)]
    assert arrays["critical_points/loss"] == pytest.approx([float(again.loss)], rel=1e-9)
    vector_to_parameters(again.vector, last.parameters())
    objective = ((last(data.x_train) - data.y_train) ** 2).mean()
    objective = objective + 0.005 * sum(p.square().sum() for p in last.parameters())
    gradients = torch.autograd.grad(objective, list(last.parameters()))
    assert max(float(g.abs().max()) for g in gradients) < 1e-7


def test_noise_moves_the_starts_and_has_a_stream_of_its_own(run):
    setting = [*CRITICAL_POINTS, "callbacks.critical_points.max_steps=1"]  # none converges
    still, moved, again = (
        run(*setting, f"callbacks.critical_points.noise={noise}", "callbacks.critical_points.tolerance=1e3")
        for noise in (0, 0.5, 0.5)
    )
    losses = [arrays_of(folder)["critical_points/loss"] for _, folder in (still, moved, again)]
    assert len(losses[0]) == len(losses[1]) == 7  # any gradient is small enough: the starts themselves
    assert np.sort(losses[0]) != pytest.approx(np.sort(losses[1]), rel=1e-3)
    assert losses[1].tolist() == losses[2].tolist()
    assert still[0].metrics["train/loss"] == moved[0].metrics["train/loss"]


def test_index_against_loss():
    metrics = index_metrics(torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0.2, 0.1, 0.5, 0.3, 0.9]).double())
    # By hand: ranks 1.5 1.5 3 4.5 4.5 and 2 1 4 3 5.
    assert metrics["critical_points/rank_correlation"] == pytest.approx(7.5 / math.sqrt(9 * 10))
    assert metrics["critical_points/loss_index_0"] == pytest.approx(0.15)
    assert metrics["critical_points/loss_index_2"] == pytest.approx(0.6)
    assert "critical_points/loss_index_3" not in metrics


@pytest.mark.parametrize(
    ("index", "loss"), [([], []), ([1], [0.3]), ([1, 1], [0.1, 0.2]), ([0, 1], [0.1, 0.1])]
)
def test_a_correlation_that_is_not_defined_is_nan(index, loss):
    metrics = index_metrics(torch.tensor(index, dtype=torch.long), torch.tensor(loss).double())
    assert math.isnan(metrics["critical_points/rank_correlation"])


def test_random_matrices(run):
    result, folder = run(
        *CRITICAL_POINTS, "trainer.max_steps=1", "callbacks.critical_points.random_matrix_samples=20000"
    )
    arrays = arrays_of(folder)
    assert arrays["critical_points/dimensions"].tolist() == [2, 3, 4, 5, 6]
    assert arrays["critical_points/independent_signs"].tolist() == [1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64]
    share = result.metrics["critical_points/goe_positive_definite_d2"]
    assert share == arrays["critical_points/goe_positive_definite"][0] == pytest.approx(0.1464, abs=0.01)
