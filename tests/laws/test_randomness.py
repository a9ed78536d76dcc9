"""A user's own randomness: the same seed gives the same bits, whatever ran before."""

import pytest
import torch

from tests.laws.comparison import assert_same_bits, differences
from tests.laws.runs import compose, read, train_alone, train_together

NETWORKS = ["dropout", "heedless", "Functional"]


def job(network, seed, width=6):
    return compose(
        "model=linear",
        f"model._target_=tests.laws.foreign.{network}",
        f"model.width={width}",
        f"seed={seed}",
        "data.n_train=20",
        "data.n_test=9",
        "data.input_dim=4",
        "data.batch_size=6",
        "trainer.max_steps=30",
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_the_same_seed_gives_the_same_bits(network):
    first = train_alone(job(network, 0))
    torch.rand(17)  # what another job may draw
    other = train_alone(job(network, 1))
    assert_same_bits(train_alone(job(network, 0)), first, "after another job")
    train_together([job("subclass", 5), job("subclass", 6)])
    assert_same_bits(train_alone(job(network, 0)), first, "after a stack")
    assert differences(first, other)["record train/loss at step 30"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_the_same_seed_gives_the_same_bits_in_a_fresh_process(network, processes, tmp_path):
    ended = processes.train([job(network, 0)], tmp_path)
    assert ended.code == 0, ended.output
    assert_same_bits(read(tmp_path / "0"), train_together([job(network, 0)])[0])


@pytest.mark.parametrize("network", NETWORKS)
def test_a_job_leaves_the_global_random_state_alone(network):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    train_alone(job(network, 0))
    assert torch.equal(torch.get_rng_state(), before)
