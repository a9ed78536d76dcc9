"""The callback ntk: Jacobian oracles, the exact linear case, and the laws of width."""

import numpy as np
import pytest
import torch
from torch.func import functional_call, jacrev

from dlexp.train.build import make_datamodule
from tests.callbacks.reading import arrays_of, networks, series

NTK_CALLBACK = ["callbacks=[ntk]", "trainer.precision=64-true"]
SMALL = [*NTK_CALLBACK, "data.n_train=15", "data.input_dim=4", "model.width=6", "model.activation=tanh"]
SPHERE = [
    *NTK_CALLBACK,
    "data=sphere",
    "model.parametrization=ntk",
    "model.bias_std=0.1",
    "optimizer=gradient_descent",
    "training.loss=half_mse",
    "training.stopping.train_loss=null",
    "callbacks.ntk.at_start=false",
]
MORE_OUTPUTS = ["data=gaussian_mixture", "data.n_train=10", "training.loss=cross_entropy"]


def jacobian(network, x):
    """Return the Jacobian (N, K, P) by torch.func, which the layer-wise kernel does not use."""
    parameters = {name: p.detach() for name, p in network.named_parameters()}
    parts = jacrev(lambda p: functional_call(network, p, (x,)))(parameters)
    return torch.cat([part.flatten(2) for part in parts.values()], dim=2).numpy()


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()]).numpy()


@pytest.mark.parametrize("more", [[], ["data=gaussian_mixture"]], ids=["scalar", "classes"])
def test_values_are_those_of_the_jacobian_by_hand(more, run):
    result, folder = run(*more, *SMALL, "callbacks.ntk.n_samples=7", "callbacks.ntk.every_n_steps=6")
    data = make_datamodule(result.config).tensors("cpu", torch.float64)
    first, last = networks(result.config, folder)
    j0, jt = (jacobian(network, data.x_train[:7]) for network in (first, last))
    # Rows of the matrix: all pairs of sample and output.
    k0, kt = (j.reshape(-1, j.shape[2]) @ j.reshape(-1, j.shape[2]).T for j in (j0, jt))
    if more:
        outputs = result.config["data"]["output_dim"]
        y = np.eye(outputs)[data.y_train[:7].numpy()] - 1 / outputs
    else:
        y = data.y_train[:7].numpy()
    target = np.outer(y.ravel(), y.ravel())
    values = np.linalg.eigvalsh(kt)
    moved = np.linalg.norm(weights(last) - weights(first)) / np.linalg.norm(weights(first))
    expected = {
        "drift": np.linalg.norm(kt - k0) / np.linalg.norm(k0),
        "alignment": np.sum(kt * target) / np.linalg.norm(kt) / np.linalg.norm(target),
        "lambda_max": values[-1],
        "condition": values[-1] / values[0],
        "parameter_drift": moved,
    }
    for name, value in expected.items():
        assert result.metrics[f"ntk/{name}"] == pytest.approx(value, rel=1e-8)
        assert list(series(folder, f"ntk/{name}")) == [0, 6, 12]
    assert series(folder, "ntk/drift")[0] == series(folder, "ntk/parameter_drift")[0] == 0
    assert "ntk/linearized_gap" not in result.metrics  # trained by Adam
    arrays = arrays_of(folder)
    for name, j in {"kernel_start": j0, "kernel_end": jt}.items():
        mean = np.einsum("ikp,jkp->ij", j, j) / j.shape[1]
        assert arrays[f"ntk/{name}"] == pytest.approx(mean, rel=1e-10)
    assert list(series(folder, "ntk/drift")) == [0, 6, 12]


@pytest.mark.parametrize("loss", ["mse", "half_mse"])
def test_a_linear_model_is_its_own_linearization(loss, run):
    """Trained on all rows, though the kernel is measured on some: the gap is round-off at every step."""
    result, folder = run(
        *NTK_CALLBACK,
        "model=linear",
        "data.n_train=30",
        "data.input_dim=5",
        "optimizer=sgd",
        "data.batch_size=full",
        f"training.loss={loss}",
        "callbacks.ntk.n_samples=6",
        "callbacks.ntk.n_test=9",
        "callbacks.ntk.every_n_steps=1",
        "callbacks.ntk.linearized=true",
    )
    gaps = series(folder, "ntk/linearized_gap")
    assert list(gaps) == list(range(13))
    assert max(gaps.values()) < 1e-12
    assert series(folder, "ntk/drift")[12] == 0
    x = make_datamodule(result.config).tensors("cpu", torch.float64).x_test[:9]
    predictions = networks(result.config, folder)[1](x).detach().numpy()
    arrays = arrays_of(folder)
    assert np.linalg.norm(predictions) > 0.1
    assert arrays["ntk/network_predictions"] == pytest.approx(predictions, abs=1e-12)
    assert arrays["ntk/linearized_predictions"] == pytest.approx(predictions, abs=1e-12)


def test_the_gap_is_that_to_the_network_linearised_at_initialisation(run):
    """Gradient descent on the linearised network by hand, in weight space and without any kernel."""
    result, folder = run(
        *SMALL,
        "data.noise=0",
        "optimizer=gradient_descent",
        "optimizer.lr=0.3",
        "callbacks.ntk.n_test=40",
        "callbacks.ntk.every_n_steps=4",
    )
    data = make_datamodule(result.config).tensors("cpu", torch.float64)
    x, y, x_test = data.x_train, data.y_train[:, 0].numpy(), data.x_test[:40]
    first, last = networks(result.config, folder)
    j, j_test = (jacobian(first, rows)[:, 0] for rows in (x, x_test))
    f0, f0_test, f_test = (
        network(rows).detach().numpy()[:, 0]
        for network, rows in ((first, x), (first, x_test), (last, x_test))
    )
    change = np.zeros(j.shape[1])
    for _ in range(12):
        change -= 0.3 * 2 / 15 * j.T @ (f0 + j @ change - y)
    linearized = f0_test + j_test @ change
    gap = np.linalg.norm(f_test - linearized) / np.linalg.norm(linearized)
    assert 0.01 < gap < 1
    assert result.metrics["ntk/linearized_gap"] == pytest.approx(gap, rel=1e-8)
    assert series(folder, "ntk/linearized_gap")[0] == 0


def test_limits_of_training_by_kernel_regression(run):
    """With and without the initial function, from Jacobians; the network ends near the one with it."""
    result, folder = run(
        *SPHERE,
        "data.n_train=4",
        "data.n_test=30",
        "model.activation=erf",
        "model.width=500",
        "optimizer.lr=1",
        "trainer.max_steps=400",
        "callbacks.ntk.n_samples=3",
    )
    data = make_datamodule(result.config).tensors("cpu", torch.float64)
    x, y, x_test = data.x_train, data.y_train[:, 0].numpy(), data.x_test
    first, last = networks(result.config, folder)
    j, j_test = (jacobian(first, rows)[:, 0] for rows in (x, x_test))
    f0, f0_test, f_test = (
        network(rows).detach().numpy()[:, 0]
        for network, rows in ((first, x), (first, x_test), (last, x_test))
    )
    kernel, kernel_test = j @ j.T, j_test @ j.T
    limit = f0_test + kernel_test @ np.linalg.solve(kernel, y - f0)
    regression = kernel_test @ np.linalg.solve(kernel, y)
    for name, predicted in (("interpolation", limit), ("kernel_regression", regression)):
        gap = np.linalg.norm(f_test - predicted) / np.linalg.norm(predicted)
        assert result.metrics[f"ntk/{name}_gap"] == pytest.approx(gap, rel=1e-6)
    assert 4 * result.metrics["ntk/interpolation_gap"] < result.metrics["ntk/kernel_regression_gap"]


def arc_cosine_kernel(x, bias_std):
    """One hidden ReLU layer, s_w^2 = 2, biases of scale bias_std that start at zero; FACTS, section 1."""
    norm = np.linalg.norm(x, axis=1)
    angle = np.arccos(np.clip(x @ x.T / np.outer(norm, norm), -1, 1))
    scale = 2 * np.outer(norm, norm) / x.shape[1]
    covariance = scale / (2 * np.pi) * (np.sin(angle) + (np.pi - angle) * np.cos(angle))
    inner = scale * np.cos(angle) + bias_std**2
    return covariance + (np.pi - angle) / (2 * np.pi) * inner + bias_std**2


def test_distance_to_infinite_width(run):
    result, folder = run(*SPHERE, "model.width=500", "callbacks.ntk.n_samples=12")
    x = make_datamodule(result.config).tensors("cpu", torch.float64).x_train[:12]
    j = jacobian(networks(result.config, folder)[0], x)[:, 0]
    limit = arc_cosine_kernel(x.numpy(), 0.1)
    distance = np.linalg.norm(j @ j.T - limit) / np.linalg.norm(limit)
    assert series(folder, "ntk/infinite_distance") == {0: pytest.approx(distance, rel=1e-7)}
    assert 0.01 < distance < 0.3


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.depth=2", "model.activation=tanh"],
        ["model.random_bias=true"],
        ["model.bias=false"],
        MORE_OUTPUTS,
    ],
    ids=["deep", "random_bias", "without_bias", "classes"],
)
def test_distance_to_infinite_width_falls_with_the_width(overrides, run):
    """A limit of other scales than the network's would leave a distance at any width."""
    distances = [
        run(*SPHERE, "model.bias_std=2", *overrides, f"model.width={width}", "trainer.max_steps=1")[
            0
        ].metrics["ntk/infinite_distance"]
        for width in (64, 1024)
    ]
    assert distances[0] > 2 * distances[1]
    assert distances[1] < 0.15
