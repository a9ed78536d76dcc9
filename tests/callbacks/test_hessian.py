"""The callback hessian: brute-force Hessians, the edge as the border of divergence, the edge of stability."""

import numpy as np
import pytest
import torch
from torch.func import functional_call

from dlexp.losses import LOSSES
from dlexp.train.build import make_datamodule, make_network, network_settings
from tests.callbacks.reading import arrays_of, networks, series

HESSIAN = ["callbacks=[hessian]", "trainer.precision=64-true"]
SMALL = [
    *HESSIAN,
    "data.n_train=15",
    "data.input_dim=3",
    "model.width=4",
    "model.activation=tanh",
    "optimizer=gradient_descent",
    "callbacks.hessian.density_steps=20",
]


def brute_eigenvalues(network, config, n=None):
    """Double backward over every pair of entries; shares no code with the measures."""
    data = make_datamodule(config).tensors("cpu", torch.float64)
    x, y, loss_fn = data.x_train[:n], data.y_train[:n], LOSSES[config["training"]["loss"]]
    named = dict(network.double().named_parameters())

    def loss(vector):
        parts = vector.split([p.numel() for p in named.values()])
        values = {k: v.view(p.shape) for (k, p), v in zip(named.items(), parts, strict=True)}
        return loss_fn(functional_call(network, values, (x,)), y)

    start = torch.cat([p.detach().flatten() for p in named.values()])
    return np.linalg.eigvalsh(torch.autograd.functional.hessian(loss, start).numpy())


@pytest.mark.parametrize("dense_up_to", [1000, 0], ids=["dense", "lanczos"])
@pytest.mark.parametrize("more", [[], ["data=gaussian_mixture", "data.noise=0.2"]], ids=["mse", "classes"])
def test_values_are_those_of_the_brute_force_hessian(dense_up_to, more, run):
    result, folder = run(
        *more,
        *SMALL,
        "training.loss=" + ("cross_entropy" if more else "half_mse"),
        f"callbacks.hessian.dense_up_to={dense_up_to}",
        "callbacks.hessian.n_samples=9",
        "callbacks.hessian.trace_probes=200",
        "callbacks.hessian.tolerance=1e-9",
        "callbacks.hessian.every_n_steps=3",
    )
    assert result.error is None
    for step, network in zip((0, 12), networks(result.config, folder), strict=True):
        values = brute_eigenvalues(network, result.config, n=9)
        assert series(folder, "hessian/lambda_max")[step] == pytest.approx(values[-1], rel=1e-8)
        assert series(folder, "hessian/lambda_min")[step] == pytest.approx(values[0], rel=1e-8)
        error = series(folder, "hessian/trace_standard_error")[step]
        bound = 4 * error + 1e-10 * abs(values).sum()
        assert abs(series(folder, "hessian/trace")[step] - values.sum()) <= bound
        if dense_up_to:
            share = np.mean(values < -1.5e-8 * np.abs(values).max())
            assert series(folder, "hessian/negative_fraction")[step] == pytest.approx(share, abs=1e-12)
            assert error == 0
        else:
            assert "hessian/negative_fraction" not in result.metrics
            assert 0 < error < abs(values).sum()
    arrays = arrays_of(folder)
    assert list(series(folder, "hessian/lambda_max")) == [0, 3, 6, 9, 12]
    if dense_up_to:
        assert arrays["hessian/eigenvalues"] == pytest.approx(values, abs=1e-10)
    else:
        mean = (arrays["hessian/density_nodes"] * arrays["hessian/density_weights"]).sum(axis=1)
        spread = 4 * mean.std(ddof=1) / len(mean) ** 0.5 + 1e-12
        assert abs(mean.mean() - values.mean()) < spread
        assert np.trapezoid(arrays["hessian/density"], arrays["hessian/density_grid"]) == pytest.approx(
            1, rel=1e-3
        )


EDGE = ["optimizer=sgd", "data.batch_size=full", "model=linear", "data.n_train=30", "data.input_dim=5"]


@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.0, 0.0), (0.9, 0.0), (0.5, 0.2)], ids=str)
@pytest.mark.parametrize("side", [0.98, 1.02])
def test_the_edge_is_the_border_of_divergence(side, momentum, weight_decay, run, compose_plain):
    """On a quadratic, gradient descent diverges above relative_to_edge = 1 and converges below."""
    overrides = [*EDGE, *HESSIAN, f"optimizer.momentum={momentum}", f"optimizer.weight_decay={weight_decay}"]
    config = compose_plain(*overrides)
    top = brute_eigenvalues(make_network(network_settings(config)), config)[-1]
    rate = side * 2 * (1 + momentum) / (top + weight_decay)
    result, _ = run(*overrides, f"optimizer.lr={rate}", "trainer.max_steps=600")
    assert result.metrics["sharpness/relative_to_edge"] == pytest.approx(side, rel=1e-6)
    assert (result.metrics["weights/norm"] > 1000) == (side > 1)


def test_the_learning_rate_is_that_of_the_last_step(run):
    result, folder = run(*EDGE, *HESSIAN, "optimizer.schedule=linear", "callbacks.hessian.every_n_steps=4")
    rate = {0: 1.0, 4: 1 - 3 / 12, 8: 1 - 7 / 12, 12: 1 - 11 / 12}
    top, relative = (series(folder, f"{n}") for n in ("hessian/lambda_max", "sharpness/relative_to_edge"))
    for step, factor in rate.items():
        assert relative[step] == pytest.approx(
            top[step] * result.config["optimizer"]["lr"] * factor / 2, rel=1e-12
        )


def test_the_late_mean_is_that_of_the_last_measurements(run):
    result, folder = run(*SMALL, "callbacks.hessian.every_n_steps=2", "callbacks.hessian.late_measurements=3")
    relative = series(folder, "sharpness/relative_to_edge")
    late = series(folder, "sharpness/relative_to_edge_late_mean")
    assert list(relative) == [0, 2, 4, 6, 8, 10, 12]
    assert list(late) == [4, 6, 8, 10, 12]  # not before there are three
    assert late[4] == pytest.approx((relative[0] + relative[2] + relative[4]) / 3, rel=1e-12)
    mean = (relative[8] + relative[10] + relative[12]) / 3
    assert result.metrics["sharpness/relative_to_edge_late_mean"] == pytest.approx(mean, rel=1e-12)
    assert mean != pytest.approx(relative[12], rel=1e-4)


@pytest.mark.parametrize(
    "overrides",
    [["optimizer=adam"], ["optimizer=sgd", "model.parametrization=mup", "model.width=128"]],
    ids=["adam", "mup"],
)
def test_where_there_is_no_edge_none_is_reported(overrides, run):
    result, folder = run(*SMALL, *overrides, "trainer.max_steps=3")
    assert "hessian/lambda_max" in result.metrics
    assert "sharpness/relative_to_edge" not in result.metrics
    assert "relative_to_edge" not in (folder / "metrics.csv").read_text()


def test_a_hessian_that_is_not_finite_is_nan_and_does_not_end_the_job(run, monkeypatch):
    def fail(*_, **__):
        raise torch.linalg.LinAlgError("the matrix has entries that are not finite")

    monkeypatch.setattr("dlexp.callbacks.hessian.spectrum", fail)
    result, folder = run(*SMALL, "trainer.max_steps=2")
    assert result.status == "done"
    names = ["lambda_max", "lambda_min", "trace", "trace_standard_error", "negative_fraction"]
    for name in (*(f"hessian/{name}" for name in names), "sharpness/relative_to_edge"):
        assert np.isnan(result.metrics[name]), name
        assert all(np.isnan(value) for value in series(folder, name).values())


def test_the_largest_eigenvalue_alone(run):
    """Of the trained network too, where the search starts from the eigenvector before."""
    result, folder = run(
        *SMALL,
        "callbacks.hessian.dense_up_to=0",
        "callbacks.hessian.smallest=false",
        "callbacks.hessian.tolerance=1e-9",
        "callbacks.hessian.every_n_steps=6",
    )
    for step, network in zip((0, 12), networks(result.config, folder), strict=True):
        top = brute_eigenvalues(network, result.config)[-1]
        assert series(folder, "hessian/lambda_max")[step] == pytest.approx(top, rel=1e-8)
    assert "lambda_min" not in (folder / "metrics.csv").read_text()
