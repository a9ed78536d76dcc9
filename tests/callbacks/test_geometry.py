"""The callback `geometry`: it records what the measures give on the stored network, and leaves no trace."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from dlexp.config.callbacks import GEOMETRY_MEASURES as MEASURES
from dlexp.measures.geometry import (
    cka_matrix,
    fisher_ratio,
    linear_cka,
    nonlinear_modules,
    participation_ratio,
    principal_component_dimension,
    two_nn_dimension,
)
from dlexp.models.random_features import RandomFeatures
from dlexp.train.build import make_datamodule
from tests.callbacks.reading import arrays_of, networks, series

CLASSES = [
    "callbacks=[geometry]",
    "data=gaussian_mixture",
    "data.n_train=120",
    "data.n_test=90",
    "data.output_dim=4",
    "data.input_dim=6",
    "model=mlp",
    "model.depth=2",
    "model.width=12",
]
REGRESSION = ["callbacks=[geometry]", "data=sine_sum", "data.n_train=60", "data.n_test=50", "model.width=9"]


def in_float32(result, folder):
    return [network.float() for network in networks(result.config, folder)]


@torch.no_grad()
def features_of_mlp(network, x):
    """Return the input and what follows each activation, without hooks."""
    layers = [x]
    for name, module in network.named_children():
        x = module(x)
        if name.startswith("activation"):
            layers.append(x)
    return layers


def test_values_are_those_of_the_stored_network_for_classes(run):
    result, folder = run(*CLASSES, "callbacks.geometry.n_samples=70", "callbacks.geometry.pca_threshold=0.8")
    data = make_datamodule(result.config).tensors()
    for step, network in zip((0, 12), in_float32(result, folder), strict=True):
        train = features_of_mlp(network, data.x_train[:70])
        test = features_of_mlp(network, data.x_test[:70])
        initial = features_of_mlp(in_float32(result, folder)[0], data.x_test[:70])
        for layer in range(3):
            probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            probe.fit(train[layer].double(), data.y_train[:70])
            expected = {
                "probe_error": 1 - probe.score(test[layer].double(), data.y_test[:70]),
                "pca_dimension": principal_component_dimension(test[layer], threshold=0.8),
                "participation_ratio": participation_ratio(test[layer]),
                "twonn_dimension": two_nn_dimension(test[layer]),
                "class_separation": fisher_ratio(test[layer], data.y_test[:70]),
                "cka": linear_cka(test[layer], initial[layer]),
            }
            assert set(expected) == set(MEASURES)
            for measure, value in expected.items():
                recorded = series(folder, f"geometry/{measure}/layer_{layer}")[step]
                assert recorded == pytest.approx(value, rel=1e-9), (measure, layer, step)
                if layer == 2:
                    assert series(folder, f"geometry/{measure}")[step] == recorded
    assert 0 < result.metrics["geometry/cka"] < 0.9999  # training has moved the features


def test_a_regression_has_the_probes_mean_squared_error_and_no_classes(run):
    result, folder = run(*REGRESSION, "callbacks.geometry.probe_regularization=3.0")
    data = make_datamodule(result.config).tensors()
    _, network = in_float32(result, folder)
    train, test = (features_of_mlp(network, x)[1].double() for x in (data.x_train, data.x_test))
    probe = make_pipeline(StandardScaler(), Ridge(alpha=3.0)).fit(train, data.y_train.double())
    error = np.mean((probe.predict(test).reshape(50, 1) - data.y_test.double().numpy()) ** 2)
    assert result.metrics["geometry/probe_error"] == pytest.approx(error, rel=1e-6)
    assert "class_separation" not in (folder / "metrics.csv").read_text()


def test_only_the_measures_and_layers_asked_for(run):
    _, folder = run(
        *CLASSES,
        "callbacks.geometry.measures=[pca_dimension]",
        "callbacks.geometry.layers=[hidden_2]",
        "callbacks.geometry.at_start=false",
    )
    rows = [row.split(",") for row in (folder / "metrics.csv").read_text().splitlines()]
    geometry = {row[2] for row in rows if row[2].startswith("geometry/")}
    ending = ["", "/layer_0", "/layer_1"]
    assert geometry == {f"geometry/pca_dimension{end}" for end in ending}
    assert list(series(folder, "geometry/pca_dimension")) == [12]
    arrays = {"geometry/layers", "geometry/pca_dimension"}
    assert set(arrays_of(folder)) == arrays


def test_the_layers_are_the_activations():
    generator = torch.Generator().manual_seed(0)
    assert nonlinear_modules(RandomFeatures(input_dim=3, width=5, generator=generator)) == ["activation"]
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False), nn.ReLU(), nn.Linear(2, 1))
    assert nonlinear_modules(network) == ["2"]


def test_constant_features_have_dimension_0_and_no_alignment_or_separation(run):
    # Weights so small that the second layer underflows to 0.
    result, folder = run(*CLASSES, "model.weight_std=1e-30", "model.initialization=normal")
    assert result.status == "done"
    assert series(folder, "geometry/pca_dimension")[0] == 0
    assert np.isnan(series(folder, "geometry/cka")[0])
    assert np.isnan(series(folder, "geometry/class_separation")[0])
    assert 0 < series(folder, "geometry/class_separation/layer_1")[0] < 10
    matrix = arrays_of(folder)["geometry/cka_layers_initial"]
    assert np.isnan(matrix[2]).all()
    assert np.isfinite(matrix[:2, :2]).all()


@pytest.mark.parametrize(
    ("overrides", "undefined"),
    [
        (["data.n_train=1"], "probe_error"),
        # this seed draws five test samples of one class
        (["data.n_train=20", "data.n_test=5", "data.output_dim=2", "data.seed=25"], "class_separation"),
    ],
)
def test_one_class_leaves_undefined_only_what_needs_more(run, overrides, undefined):
    result, folder = run(*CLASSES, *overrides)
    assert result.status == "done"
    for measure in MEASURES:
        values = list(series(folder, f"geometry/{measure}").values())
        assert np.isnan(values).all() if measure == undefined else np.isfinite(values).all()


def test_arrays_hold_the_last_values_by_layer_and_the_cka_between_layers_and_the_figure_all(run):
    result, folder = run(*CLASSES, "callbacks.geometry.every_n_steps=5")
    assert list(series(folder, "geometry/cka")) == [0, 5, 10, 12]
    arrays = arrays_of(folder)
    for measure in MEASURES:
        by_layer = [series(folder, f"geometry/{measure}/layer_{k}")[12] for k in range(3)]
        assert np.array_equal(arrays[f"geometry/{measure}"], by_layer)
    x = make_datamodule(result.config).tensors().x_test
    for name, network in zip(("cka_layers_initial", "cka_layers"), in_float32(result, folder), strict=True):
        expected = cka_matrix({str(k): f for k, f in enumerate(features_of_mlp(network, x))})
        assert arrays[f"geometry/{name}"] == pytest.approx(expected.numpy(), rel=1e-9)
    assert (folder / "figures" / "geometry.png").stat().st_size > 10_000
