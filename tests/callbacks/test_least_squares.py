"""The callback `least_squares` end to end against numpy's pseudoinverse and normal equations."""

import numpy as np
import pytest
import torch

from dlexp.train.build import make_datamodule, make_network, network_settings

SETTINGS = [
    "callbacks=[least_squares]",
    "data.n_train=30",
    "trainer.precision=64-true",
    "trainer.max_steps=0",
]


def features_of(result, x):
    """Return phi(W x + b) of a freshly made two-layer network, without the readout's multiplier."""
    network = make_network(network_settings(result.config)).double()
    return network.activation_1(network.hidden_1(torch.from_numpy(x))).detach().numpy()


def fitted(run, *overrides):
    """Return the result, the trained network's readout (weights, bias), and the data as numpy arrays."""
    result, folder = run(*SETTINGS, *overrides)
    assert result.status == "done", result.error
    state = torch.load(folder / "checkpoints" / "last.ckpt")["state_dict"]
    data = make_datamodule(result.config).tensors(dtype=torch.float64)
    readout = {k.rpartition(".")[2]: v.numpy() for k, v in state.items() if "readout" in k}
    return result, readout, {k: v.numpy() for k, v in vars(data).items()}


def test_the_readout_is_the_minimum_norm_solution_weights_and_bias(run):
    result, readout, data = fitted(run, "model.width=50")
    design = np.hstack([features_of(result, data["x_train"]), np.ones((30, 1))])
    solution = np.linalg.pinv(design) @ data["y_train"]
    assert readout["weight"][0] == pytest.approx(solution[:-1, 0], abs=1e-9)
    assert readout["bias"] == pytest.approx(solution[-1], abs=1e-9)
    test = np.hstack([features_of(result, data["x_test"]), np.ones((len(data["x_test"]), 1))])
    expected = np.mean((test @ solution - data["y_test"]) ** 2)
    assert result.metrics["test/loss"] == pytest.approx(expected, rel=1e-9)
    assert result.metrics["train/loss"] < 1e-20
    assert result.metrics["least_squares/norm"] == pytest.approx(np.linalg.norm(solution), rel=1e-9)


def test_the_ridge_counts_the_readout_s_own_weights(run):
    """Under ntk the layer multiplies by 1 / sqrt(width); the penalty is on the weights before that."""
    ridge = 0.03
    result, readout, data = fitted(
        run,
        "model.width=50",
        "model.bias=false",
        "model.parametrization=ntk",
        f"callbacks.least_squares.ridge={ridge}",
    )
    design = features_of(result, data["x_train"]) / np.sqrt(50)
    normal = design.T @ design + 30 * ridge * np.eye(50)
    solution = np.linalg.solve(normal, design.T @ data["y_train"])
    assert readout["weight"][0] == pytest.approx(solution[:, 0], rel=1e-8)
    error = np.mean((design @ solution - data["y_train"]) ** 2)
    assert result.metrics["train/loss"] == pytest.approx(error, rel=1e-9)
    first_layer = make_network(network_settings(result.config))[0].weight.detach().numpy()
    norm = np.hypot(np.linalg.norm(solution), np.linalg.norm(first_layer.astype(float)))
    assert result.metrics["weights/norm"] == pytest.approx(norm, rel=1e-9)


@pytest.mark.parametrize("model", ["linear", "random_features"])
def test_models_linear_in_their_parameters_reach_the_limit_of_gradient_descent(run, model):
    result, _ = run("callbacks=[least_squares,min_norm]", *SETTINGS[1:], f"model={model}")
    # min_norm, which measures before least_squares changes the network, has the solution's norm as well
    assert result.metrics["min_norm/norm_ratio"] == 0
    assert result.metrics["least_squares/norm"] == pytest.approx(result.metrics["min_norm/distance"])
