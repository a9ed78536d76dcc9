"""Each kind of wrong value has its sentence, and all of them are found together."""

import pytest

from dlexp.config.validation import find_problems
from dlexp.training.build import find_build_problems

WRONG = [
    (["model.width=0"], "model.width=0 is not allowed: it must be at least 1."),
    (["model.depth=-1"], "model.depth=-1 is not allowed: it must be at least 0."),
    (["data.noise=-0.1"], "data.noise=-0.1 is not allowed: it must be a finite number, 0 or above."),
    (["data.noise=nan"], "data.noise=nan is not allowed: it must be a finite number, 0 or above."),
    (["data.test_noise=-1"], "data.test_noise=-1 is not allowed"),
    (["data.n_train=0"], "data.n_train=0 is not allowed: it must be at least 1."),
    (["data.n_test=0"], "data.n_test=0 is not allowed: it must be at least 1."),
    (
        ["data.batch_size=101"],
        "data.batch_size=101 is not allowed: it must be full or a whole number between 1 and "
        "data.n_train=100.",
    ),
    (["data.batch_size=half"], "data.batch_size=half is not allowed"),
    (["data.batch_size=2.5"], "data.batch_size=2.5 is not allowed"),
    (["data.batch_size=true"], "data.batch_size=True is not allowed"),
    (["optimizer.lr=0"], "optimizer.lr=0.0 is not allowed: it must be a finite number above 0."),
    (["optimizer.lr=nan"], "optimizer.lr=nan is not allowed"),
    (["optimizer.lr=inf"], "optimizer.lr=inf is not allowed"),
    (["optimizer.name=lion"], "one of sgd, gradient_descent, adam, adamw."),
    (["optimizer=sgd", "optimizer.momentum=1"], "optimizer.momentum=1.0 is not allowed"),
    (["optimizer.momentum=0.9"], "optimizer.name=adam has no momentum, so it must be 0."),
    (["optimizer.schedule=exponential"], "one of constant, cosine, linear."),
    (["optimizer.betas=[0.9,1.0]"], "optimizer.betas=[0.9, 1.0] is not allowed"),
    (["optimizer=gradient_descent", "data.batch_size=10"], "needs data.batch_size=full."),
    (["model.activation=swish"], "one of relu, tanh, gelu, erf, sigmoid, linear."),
    (["model.parametrization=feature"], "one of standard, ntk, mup."),
    (["model.parametrization=ntk", "model.initialization=xavier"], "model.initialization=xavier"),
    (["model.budget=100"], "one of them must be null."),
    (["training.loss=cross_entropy"], "with data.task=regression it must be one of mse, half_mse."),
    (["data=gaussian_mixture", "training.loss=mse"], "it must be one of cross_entropy."),
    (["data=gaussian_mixture", "data.noise=1.5"], "at most 1"),
    (["trainer.max_steps=-1"], "leave training without an end"),
    (["trainer.max_steps=-5"], "trainer.max_steps=-5 is not allowed"),
    (["trainer.devices=0"], "trainer.devices=0 is not allowed"),
    (["training.log_points.per_decade=0"], "training.log_points.per_decade=0"),
    (["training.stopping.patience=0"], "training.stopping.patience=0"),
    (["seed=-1"], "seed=-1 is not allowed: it must be between 0 and 2^32 - 1."),
    (["+model.deepness=3"], "model.deepness is not a key of the configuration"),
    (["+training.log_points.evry=3"], "training.log_points.evry is not a key of the configuration"),
    (["+nothing=3"], "nothing is not a key of the configuration; allowed: name, arm, seed"),
    (["threads=0"], "threads=0 is not allowed: it must be at least 1."),
]


@pytest.mark.parametrize(
    ("overrides", "sentence"), WRONG, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_wrong_value_has_its_sentence(overrides, sentence, compose_plain):
    problems = find_problems(compose_plain(*overrides))
    assert any(sentence in problem for problem in problems), problems


def test_all_problems_are_found_together(compose_plain):
    problems = find_problems(compose_plain("model.width=0", "optimizer.lr=-1", "data.noise=-1"))
    assert len(problems) == 3


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["data.generator._target_=dlexp.data.generators.nowhere"], "data.generator._target_"),
        (["+data.generator.slope=3"], "data.generator: dlexp.data.generators.linear_teacher"),
        (["model=linear", "model.depth=3"], "depth"),
        (["+trainer.max_stepz=5"], "trainer.max_stepz is not an argument of Lightning's Trainer"),
        (["+trainer.logger=true"], "trainer.logger is not an argument"),
        (["model=deep", "model.budget=10"], "budget=10 is too small"),
        (["+callbacks.mine._target_=no.such.Callback"], "callbacks.mine cannot be made"),
    ],
)
def test_what_cannot_be_built_is_named(overrides, part, compose_plain):
    config = compose_plain(*overrides)
    assert find_problems(config) == []
    assert any(part in problem for problem in find_build_problems(config))
