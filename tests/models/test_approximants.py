"""Constructed networks as models of a job: heights, sizes, refusals, and jobs that do not train."""

import math

import numpy as np
import pytest
import torch

from dlexp.config.errors import ConfigError
from dlexp.config.schema import Config
from dlexp.models.approximants import bumps, shallow_tent_map, tent_map

GRID = torch.linspace(-1, 1, 1000, dtype=torch.float64)[:, None]


def wave(x):
    return np.sin(5 * x) * np.exp(-(x**2))


@pytest.mark.parametrize(
    ("construction", "errors"),
    [  # STUDIES.md, universal_approximation
        ("notebook_sigmoid", [0.27668, 0.10136, 0.02351, 0.19501, 0.26269, 0.28512]),
        ("notebook_relu", [0.16694, 0.012566, 0.001739, 0.000176, 3.8e-5, 1.3e-5]),
        ("hats", [0.146, 4.5e-3, 2.4e-4, 5.4e-6, 3.3e-7, 2.0e-8]),
        ("boxes", [0.151, 9e-3, 1.5e-3, 2.1e-4, 5e-5, 1.2e-5]),
    ],
)
def test_bumps_have_the_known_errors(construction, errors):
    y = wave(GRID.numpy())
    found = [
        np.mean((bumps(input_dim=1, width=n, construction=construction)(GRID).detach().numpy() - y) ** 2)
        for n in (5, 10, 20, 50, 100, 200)
    ]
    assert found == pytest.approx(errors, rel=0.04)


@pytest.mark.parametrize("construction", ["notebook_sigmoid", "notebook_relu"])
def test_the_notebook_takes_heights_on_its_own_grid(construction):
    """Beside the middle its grid has no point, so a middle bump is as high as the target is next to it."""
    network = bumps(input_dim=1, width=3, construction=construction)
    readout = network[-1].weight.detach().flatten()
    middle = readout[1].item()
    assert abs(middle) == pytest.approx(abs(wave(1 / 999)), rel=1e-12)


@pytest.mark.parametrize("input_dim", [1, 2, 3])
def test_products_of_hats_interpolate_at_the_nodes_of_every_axis(input_dim):
    network = bumps(input_dim=input_dim, width=4, construction="products_of_hats", target="plane_wave")
    assert sum(p.numel() for p in network.parameters()) == 4**input_dim
    nodes = np.array(np.meshgrid(*[np.linspace(-1, 1, 4)] * input_dim, indexing="ij"))
    x = nodes.reshape(input_dim, -1).T
    expected = np.sin(3 * x.sum(axis=1) / math.sqrt(input_dim))
    assert network(torch.from_numpy(x)).detach().numpy()[:, 0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_both_tent_maps_are_the_same_sawtooth(depth):
    x = torch.linspace(0, 1, 1025, dtype=torch.float64)[:, None]
    scaled = x * 2**depth
    sawtooth = (scaled - 2 * (scaled / 2).round()).abs()
    deep, shallow = (make(input_dim=1, depth=depth) for make in (tent_map, shallow_tent_map))
    assert torch.equal(deep(x), sawtooth)
    assert torch.equal(shallow(x), sawtooth)
    assert len(deep) == 2 * depth + 1
    assert shallow[0].weight.shape == (2**depth, 1)


@pytest.mark.parametrize(
    ("make", "settings", "sentence"),
    [
        (bumps, {"input_dim": 1, "width": 5, "construction": "hat"}, "construction='hat' is unknown"),
        (bumps, {"input_dim": 1, "width": 5, "target": "sine"}, "target='sine' is unknown"),
        (bumps, {"input_dim": 2, "width": 5}, "input_dim=2, output_dim=1 is not allowed"),
        (bumps, {"input_dim": 1, "output_dim": 3, "width": 5}, "output_dim=3 is not allowed"),
        (tent_map, {"input_dim": 2, "depth": 3}, "input_dim=2, output_dim=1 is not allowed"),
        (shallow_tent_map, {"input_dim": 1, "output_dim": 2, "depth": 3}, "output_dim=2 is not allowed"),
    ],
)
def test_what_cannot_be_constructed_is_refused(make, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(**settings)


FLOAT64 = ["trainer.max_steps=0", "trainer.precision=64-true", "training.checkpoint=false"]


def test_a_construction_is_a_job_without_training(run):
    result, _ = run("model=bumps", "data=damped_wave_grid", "model.width=20", *FLOAT64)
    assert result.status == "done"
    assert result.metrics["test/loss"] == pytest.approx(2.36e-4, rel=0.01)
    deep, _ = run("model=tent_map", "data=tent", "data.generator.compositions=5", *FLOAT64)
    shallow, _ = run("model=shallow_tent_map", "data=tent", "data.generator.compositions=5", *FLOAT64)
    assert deep.metrics["test/loss"] == shallow.metrics["test/loss"] == 0
    assert (deep.metrics["model/parameters"], shallow.metrics["model/parameters"]) == (31, 97)


def test_a_construction_in_single_precision_is_refused(compose_plain):
    with pytest.raises(ConfigError, match=r"trainer\.precision=32-true is not allowed"):
        Config.check(compose_plain("model=bumps", "data=damped_wave_grid"))
