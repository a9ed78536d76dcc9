"""The callback sharpness: closed forms of a quadratic loss at its minimum, and what is measured by hand."""

import numpy as np
import pytest
import torch

from dlexp.losses import LOSSES
from dlexp.measures.sharpness import average, one_step, worst_case
from dlexp.seeding import make_generator
from dlexp.train.build import make_datamodule
from tests.callbacks.reading import networks, series

SHARPNESS = ["callbacks=[sharpness]", "trainer.precision=64-true"]
SMALL = [*SHARPNESS, "data.n_train=15", "data.input_dim=3", "model.width=5", "model.activation=tanh"]
NAMES = ["worst_case", "one_step", "average", "average_standard_error", "adaptive"]


def test_a_quadratic_loss_at_its_minimum_has_the_closed_forms(run):
    """Without noise the gradient vanishes on any rows, and L(w + d) - L(w) = d^T H d / 2, H = X^T X / n."""
    radius, adaptive_radius = 0.3, 0.2
    result, folder = run(
        *SHARPNESS,
        "model=linear",
        "optimizer=gradient_descent",
        "optimizer.lr=0.5",
        "training.loss=half_mse",
        "training.stopping.train_loss=null",
        "data.n_train=30",
        "data.input_dim=5",
        "data.noise=0",
        "trainer.max_steps=3000",
        "callbacks.sharpness.at_start=false",
        "callbacks.sharpness.n_samples=12",
        f"callbacks.sharpness.radius={radius}",
        f"callbacks.sharpness.adaptive_radius={adaptive_radius}",
        "callbacks.sharpness.n_directions=400",
    )
    assert result.metrics["train/loss"] < 1e-20
    x = make_datamodule(result.config).tensors("cpu", torch.float64).x_train[:12].numpy()
    x = np.hstack([x, np.ones((12, 1))])
    hessian = x.T @ x / 12
    network = networks(result.config, folder)[1]
    weights = torch.cat([p.detach().flatten() for _, p in network.named_parameters()]).numpy()
    assert [name for name, _ in network.named_parameters()][-1].endswith("bias")
    scaled = np.diag(weights) @ hessian @ np.diag(weights)
    metrics = result.metrics
    top = np.linalg.eigvalsh(hessian)[-1]
    assert metrics["sharpness/worst_case"] == pytest.approx(radius**2 * top / 2, rel=1e-3)
    top = np.linalg.eigvalsh(scaled)[-1]
    assert metrics["sharpness/adaptive"] == pytest.approx(adaptive_radius**2 * top / 2, rel=1e-3)
    mean, error = radius**2 * np.trace(hessian) / (2 * 6), metrics["sharpness/average_standard_error"]
    assert abs(metrics["sharpness/average"] - mean) < 4 * error < 0.2 * mean


def test_values_are_those_of_the_measures_at_each_step(run):
    result, folder = run(
        *SMALL,
        "callbacks.sharpness.every_n_steps=5",
        "callbacks.sharpness.radius=0.2",
        "callbacks.sharpness.n_starts=3",
        "callbacks.sharpness.n_directions=6",
        "seed=4",
    )
    config = result.config
    data = make_datamodule(config).tensors("cpu", torch.float64)
    for step, network in zip((0, 12), networks(config, folder), strict=True):
        loss = (network, LOSSES[config["training"]["loss"]], data.x_train, data.y_train)

        def stream():
            return {"generator": make_generator("callbacks/sharpness", 4)}

        mean = average(*loss, radius=0.2, n_samples=6, **stream())
        expected = {
            "worst_case": worst_case(*loss, radius=0.2, n_starts=3, **stream()).increase,
            "one_step": one_step(*loss, radius=0.2),
            "average": mean.increase,
            "average_standard_error": mean.standard_error,
            "adaptive": worst_case(
                *loss, radius=0.5, normalization="adaptive", n_starts=3, **stream()
            ).increase,
        }
        assert list(expected) == NAMES
        for name, value in expected.items():
            assert series(folder, f"sharpness/{name}")[step] == pytest.approx(value, rel=1e-9)
        assert expected["one_step"] <= expected["worst_case"]
    for name in NAMES:
        assert list(series(folder, f"sharpness/{name}")) == [0, 5, 10, 12]


def test_a_value_does_not_depend_on_what_else_is_measured_or_when(run):
    every, _ = run(*SMALL, "callbacks.sharpness.every_n_steps=3")
    for measure in ("average", "adaptive"):
        alone, folder = run(
            *SMALL, f"callbacks.sharpness.measures=[{measure}]", "callbacks.sharpness.at_start=false"
        )
        names = [name for name in alone.metrics if name.startswith("sharpness/")]
        assert all(measure in name for name in names)
        assert {name: every.metrics[name] for name in names} == {name: alone.metrics[name] for name in names}
        assert list(series(folder, f"sharpness/{measure}")) == [12]
