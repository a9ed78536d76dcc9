"""Which stored results are trained anew: each row by a configuration that it is of and one that it is not."""

import pytest

from dlexp.config.obsolete import OBSOLETE, reason_to_train_anew

OF_0_1 = {"dlexp": "0.1.0"}
PRUNING = "callbacks=[pruning] training.stopping.train_loss=null"
ROWS = [
    ("masks of an earlier round", f"{PRUNING} callbacks.pruning.control=random", PRUNING),
    ("random numbers", "model._target_=my.Net", "model=linear"),
    ("stored as last finite", "callbacks=[ntk]", "callbacks=[sharpness]"),
    ("6 % low", "callbacks=[hessian] callbacks.hessian.tolerance=.01", "callbacks=[hessian]"),
    (
        "without the last batch",
        "callbacks=[barrier] callbacks.barrier.curve_batch_size=30",
        "callbacks=[barrier] callbacks.barrier.curve_batch_size=25",
    ),
    ("regular grid", "callbacks=[geometry] data=damped_wave_grid", "callbacks=[geometry]"),
    ("fraction of the learning rate", "trainer.accumulate_grad_batches=2", "trainer.max_steps=10"),
    ("EarlyStopping", "trainer.max_time=00:00:01:00", ""),
    ("EarlyStopping", "+callbacks.stop._target_=pytorch_lightning.callbacks.EarlyStopping", ""),
    ("without metrics", "+trainer.limit_train_batches=0", ""),
    (
        "shrank with the width",
        "optimizer=adamw model.parametrization=mup",
        "optimizer=adamw optimizer.weight_decay=0 model.parametrization=mup",
    ),
]


@pytest.mark.parametrize(("reason", "wrong", "right"), ROWS)
def test_a_result_that_was_wrong_is_trained_anew(reason, wrong, right, composer):
    plain = composer.compose(wrong.split()).plain
    assert reason in (reason_to_train_anew(plain, OF_0_1) or "")
    assert reason_to_train_anew(plain, {"dlexp": "0.2.0"}) is None
    assert reason_to_train_anew(composer.compose(right.split()).plain, OF_0_1) is None


def test_every_row_has_a_test():
    assert all(any(fragment in reason for fragment, *_ in ROWS) for reason in OBSOLETE)


@pytest.mark.parametrize("versions", [{}, {"dlexp": "not installed"}])
def test_a_result_of_an_unknown_version_counts_as_of_the_first(versions, composer):
    plain = composer.compose(["callbacks=[ntk]"]).plain
    assert reason_to_train_anew(plain, versions)
