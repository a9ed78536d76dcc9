"""The closed-form risks recorded beside the test loss: their arguments, against the formulas by hand."""

import math

import numpy as np
import pytest

from dlexp.data.generators import linear_teacher
from dlexp.measures.risk import random_feature_risk
from dlexp.seeding import make_generator

ISOTROPIC = [
    "callbacks=[isotropic_risk]",
    "model=linear",
    "trainer.max_steps=0",
    "data.n_train=40",
    "data.noise=0.5",
    "data.generator.teacher_dim=100",
    "seed=3",
]


def shown(p):
    """Return how much of the teacher of seed 3 the first p inputs show, from what it answers."""
    x, y = linear_teacher(500, make_generator("any", 0), input_dim=100, teacher_seed=3)
    return (np.linalg.lstsq(x.numpy(), y.numpy(), rcond=None)[0][:p] ** 2).sum()


@pytest.mark.parametrize(("p", "test_noise"), [(20, "null"), (20, "0"), (70, "0.2")])
def test_the_isotropic_risk_is_that_of_the_data_s_own_teacher(run, p, test_noise):
    result, _ = run(*ISOTROPIC, f"data.input_dim={p}", f"data.test_noise={test_noise}")
    unexplained = 1 - shown(p) + 0.25
    if p < 40:
        expected = unexplained * (1 + p / (40 - p - 1))
    else:
        expected = shown(p) * (1 - 40 / p) + unexplained * (1 + 40 / (p - 40 - 1))
    expected += (0.25 if test_noise == "null" else float(test_noise) ** 2) - 0.25
    assert result.metrics["risk/isotropic"] == pytest.approx(expected, rel=1e-6)


def test_an_infinite_risk_is_recorded_as_such(run):
    result, _ = run(*ISOTROPIC, "data.input_dim=40")
    assert result.status == "done"
    assert result.metrics["risk/isotropic"] == np.inf


@pytest.mark.parametrize("ridge", [0.0, 0.01])
def test_the_random_feature_risk_is_that_of_the_network_s_sizes(run, ridge):
    result, _ = run(
        "callbacks=[least_squares,random_feature_risk]",
        f"callbacks.least_squares.ridge={ridge}",
        "model.width=150",
        "trainer.max_steps=0",
        "data.noise=0.3",
        "data.test_noise=0",
    )
    expected = random_feature_risk(100, 150, 20, noise_std=0.3, ridge=ridge, include_noise=False)
    assert math.isfinite(expected)
    assert result.metrics["risk/random_features"] == pytest.approx(expected, rel=1e-12)
