"""The callback `min_norm` end to end: where gradient descent and Adam end on least squares, and refusals."""

import numpy as np
import pytest
import torch

from dlexp.measures.functional import parameter_vector
from dlexp.train.build import make_datamodule, make_network, network_settings
from tests.callbacks.reading import arrays_of, series

# The study implicit_bias: 40 equations for 100 weights.
LEAST_SQUARES = [
    "callbacks=[min_norm]",
    "model=linear",
    "model.bias=false",
    "data.n_train=40",
    "data.input_dim=100",
    "trainer.precision=64-true",
    "training.stopping.train_loss=0",
]
GRADIENT_DESCENT = ["optimizer=gradient_descent", "optimizer.lr=0.1", "trainer.max_steps=3000"]


def state(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt")["state_dict"]


def trained_weights(folder):
    return state(folder)["network.readout.weight"].numpy()[0]


def data_of(result):
    tensors = make_datamodule(result.config).tensors(dtype=torch.float64)
    return tensors.x_train.numpy(), tensors.y_train.numpy().ravel()


def test_gradient_descent_from_zero_ends_at_the_pseudoinverse_solution(run):
    result, folder = run(*LEAST_SQUARES, *GRADIENT_DESCENT)
    x, y = data_of(result)
    solution = np.linalg.pinv(x) @ y
    assert np.linalg.norm(trained_weights(folder) - solution) < 1e-12
    assert series(folder, "min_norm/distance")[0] == pytest.approx(np.linalg.norm(solution), rel=1e-12)
    assert result.metrics["min_norm/distance"] < 1e-12
    assert result.metrics["min_norm/relative_distance"] < 1e-12
    assert result.metrics["min_norm/norm_ratio"] == pytest.approx(1, abs=1e-12)
    assert result.metrics["min_norm/null_space_norm"] < 1e-12
    assert arrays_of(folder)["min_norm/solution"] == pytest.approx(solution, abs=1e-12)


def test_from_a_random_start_it_keeps_what_the_data_do_not_see(run):
    result, folder = run(
        *LEAST_SQUARES,
        *GRADIENT_DESCENT,
        "model.initialization=pytorch",
        "callbacks.min_norm.every_n_steps=1000",
    )
    x, y = data_of(result)
    start = parameter_vector(make_network(network_settings(result.config)).double()).numpy()
    unseen = start - np.linalg.pinv(x) @ (x @ start)
    solution = np.linalg.pinv(x) @ y
    kept = series(folder, "min_norm/null_space_norm")
    assert list(kept) == [0, 1000, 2000, 3000]
    assert np.linalg.norm(unseen) > 0.3
    assert list(kept.values()) == pytest.approx([np.linalg.norm(unseen)] * 4, rel=1e-12)
    assert result.metrics["min_norm/distance"] == pytest.approx(np.linalg.norm(unseen), rel=1e-12)
    assert result.metrics["min_norm/row_space_distance"] < 1e-12
    assert result.metrics["min_norm/distance_to_limit"] < 1e-12
    assert np.linalg.norm(trained_weights(folder) - solution - unseen) < 1e-12


def test_a_frozen_first_layer_is_part_of_the_design(run):
    """Random features of 60 units on 30 samples."""
    result, folder = run(
        "callbacks=[min_norm]",
        "data=sine_sum",
        "data.n_train=30",
        "model=random_features",
        "model.width=60",
        "optimizer=adam",
        "trainer.precision=64-true",
    )
    tensors = make_datamodule(result.config).tensors(dtype=torch.float64)
    hidden, readout = (state(folder)[f"network.{name}.weight"].numpy() for name in ("hidden", "readout"))
    features = np.maximum(tensors.x_train.numpy() @ hidden.T, 0) / np.sqrt(60)
    # one pseudoinverse for all outputs: weights (outputs, features)
    solution = (np.linalg.pinv(features) @ tensors.y_train.numpy()).T
    distance = np.linalg.norm(readout - solution)
    assert result.metrics["min_norm/distance"] == pytest.approx(distance, rel=1e-9)
    assert result.metrics["min_norm/norm_ratio"] == pytest.approx(
        np.linalg.norm(readout) / np.linalg.norm(solution), rel=1e-9
    )
