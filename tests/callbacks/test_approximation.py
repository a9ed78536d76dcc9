"""The callbacks `linear_pieces` and `unexplained_variance` end to end, and their refusals."""

import numpy as np
import pytest
import torch

from dlexp.train.build import make_datamodule
from tests.callbacks.reading import networks, series

TENT = ["model=tent_map", "model.depth=3", "data=tent", "trainer.max_steps=0", "trainer.precision=64-true"]


def test_the_pieces_of_a_tent_map_are_counted_on_the_interval(run):
    result, _ = run("callbacks=[linear_pieces]", *TENT)
    assert result.metrics["approximation/linear_pieces"] == 8
    half, _ = run("callbacks=[linear_pieces]", *TENT, "callbacks.linear_pieces.upper=0.5")
    assert half.metrics["approximation/linear_pieces"] == 4


def test_the_unexplained_variance_is_one_minus_the_coefficient_of_determination(run):
    result, folder = run(
        "callbacks=[unexplained_variance]", "data=sine_cosine", "trainer.precision=64-true", "model.width=20"
    )
    data = make_datamodule(result.config).tensors(dtype=torch.float64)
    values_of = series(folder, "test/unexplained_variance")
    for network, found in zip(networks(result.config, folder), (values_of[0], values_of[12]), strict=True):
        outputs = network(data.x_test).detach().numpy()
        y = data.y_test.numpy()
        assert found == pytest.approx(np.mean((outputs - y) ** 2) / np.var(y), rel=1e-9)
    assert values_of[12] < values_of[0]
