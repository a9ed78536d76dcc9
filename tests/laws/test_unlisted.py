"""What no fast path was written for takes the general one: the numbers are those of the job alone."""

import pytest

from tests.laws import foreign
from tests.laws.comparison import assert_equal
from tests.laws.runs import compose, in_place_of, train_alone, train_together
from tests.laws.strata import draw

SMALL = [
    "data.n_train=20",
    "data.n_test=9",
    "data.input_dim=4",
    "trainer.max_steps=30",
    "training.stopping.train_loss=null",
]


def check(configs):
    for index, (config, one) in enumerate(zip(configs, train_together(configs), strict=True)):
        assert_equal(
            one, train_alone(config), lambda seed, c=config: train_alone(c, nudge=seed), f"job {index}"
        )


def test_masks_that_change_reach_every_member():
    for number in range(10, 18):
        check(draw("pruning_random", number).configs)


def test_a_loss_that_no_stack_knows():
    with in_place_of("half_mse", foreign.fourth_power):
        check(
            [compose(*SMALL, "training.loss=half_mse", f"seed={seed}", "model.width=3") for seed in range(3)]
        )


LAYERS = [
    "softmax",
    "layer_norm",
    "prelu",
    "subclass",
    "hooked",
    "parametrized",
    "frozen",
    "shared",
    "dropout",
]


@pytest.mark.parametrize("name", LAYERS)
def test_a_network_that_no_stack_knows(name):
    model = ["model=linear", f"model._target_=tests.laws.foreign.{name}", "data.batch_size=7"]
    check([compose(*SMALL, *model, f"seed={width}", f"model.width={width}") for width in (3, 5, 6)])


@pytest.mark.parametrize(
    "train", [lambda config: [train_alone(config)], lambda config: train_together([config])]
)
def test_a_loss_equal_to_the_threshold_ends_training(train):
    checks = ["training.stopping.check_every_n_steps=5", "training.log_points.spacing=linear"]
    job = [*SMALL, *checks, "training.log_points.every_n_steps=5", "optimizer=sgd", "optimizer.lr=0.01"]
    (whole,) = train(compose(*job))
    assert whole.step == 30
    losses = {step: value for step, name, value in whole.rows if name == "train/loss"}
    (stopped,) = train(compose(*job, f"training.stopping.train_loss={losses[15]!r}"))
    assert stopped.step == 15
