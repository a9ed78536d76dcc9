"""What a callback cannot take or do is refused in a sentence before training, from YAML and from Python.

Rules that need no network are among the bad inputs of tests/config.
"""

import pytest
import torch
from pydantic import BaseModel
from torch import nn

import dlexp.callbacks.barrier
import dlexp.callbacks.closed_form_risk
import dlexp.callbacks.critical_points
import dlexp.callbacks.geometry
import dlexp.callbacks.hessian
import dlexp.callbacks.landscape
import dlexp.callbacks.least_squares
import dlexp.callbacks.linear_pieces
import dlexp.callbacks.min_norm
import dlexp.callbacks.ntk
import dlexp.callbacks.pruning
import dlexp.callbacks.sharpness
import dlexp.callbacks.unexplained_variance  # noqa: F401
from dlexp.config.callbacks import SETTINGS
from dlexp.config.errors import ConfigError
from dlexp.config.kinds import Kind
from dlexp.config.objects import locate
from dlexp.config.schema import Config
from dlexp.models.layers import ScaledLinear
from dlexp.train.problems import find_build_problems


class Skipping(nn.Module):
    """No chain: its input is added to its features."""

    def __init__(self, input_dim, output_dim, **_):
        super().__init__()
        self.hidden = nn.Linear(input_dim, input_dim)
        self.readout = ScaledLinear(input_dim, output_dim)

    def forward(self, x):
        return self.readout(x + torch.relu(self.hidden(x)))


class Noisy(nn.Module):
    """Draws random numbers whenever it is called."""

    def __init__(self, input_dim, output_dim, **_):
        super().__init__()
        self.last = nn.Linear(input_dim, output_dim)

    def forward(self, x):
        outputs = self.last(x)
        return outputs + torch.randn_like(outputs)


class Dropping(Skipping):
    """Draws random numbers in training alone."""

    def forward(self, x):
        return super().forward(self.drop(x))

    def __init__(self, **settings):
        super().__init__(**settings)
        self.drop = nn.Dropout(0.5)


DROPPING = [f"model._target_={__name__}.Dropping", "callbacks.barrier.matching=false"]
SKIPPING = [f"model._target_={__name__}.Skipping"]
NOISY = [f"model._target_={__name__}.Noisy"]
RISK = ["data=linear_teacher", "data.input_dim=10", "model.bias=false", "trainer.max_steps=0"]

# Callbacks, further overrides, and what the sentence names.
REFUSED = {
    "one_measure": (
        "hessian",
        ["callbacks.hessian.tolerance=0"],
        "callbacks.hessian.tolerance=0 is not allowed",
    ),
    "schedule": ("ntk", ["callbacks.ntk.log_spaced=0"], "callbacks.ntk.log_spaced=0 is not allowed"),
    "list": (
        "sharpness",
        ["callbacks.sharpness.measures=[worst]"],
        "callbacks.sharpness.measures=[worst] is not allowed: it must be a list, each one of worst_case",
    ),
    "half": ("hessian", ["trainer.precision=bf16-true"], "trainer.precision=bf16-true is not allowed"),
    "half_ntk": ("ntk", ["trainer.precision=16-true"], "16-mixed or bf16-mixed with callbacks.ntk"),
    "matching": ("barrier", [*SKIPPING, "callbacks.barrier.partner=initialization"], "callbacks.barrier"),
    "no_checkpoint": (
        "barrier",
        ["callbacks.barrier.partner=checkpoint"],
        "callbacks.barrier.checkpoint=null",
    ),
    "no_file": (
        "barrier",
        ["callbacks.barrier.partner=checkpoint", "callbacks.barrier.checkpoint=nowhere.ckpt"],
        "checkpoint=nowhere.ckpt does not hold such a network",
    ),
    "twin_of_initialization": (
        "barrier",
        ["callbacks.barrier.partner=initialization", "callbacks.barrier.partner_seed=3"],
        "callbacks.barrier.partner_seed=3 is not allowed",
    ),
    "twin_and_pruning": (
        "barrier,pruning",
        ["callbacks.pruning.rounds=3", "training.stopping.train_loss=null"],
        "callbacks.barrier.partner=twin is not allowed",
    ),
    "curve_batch": ("barrier", ["callbacks.barrier.curve_batch_size=10000"], "at most data.n_train"),
    "twin_with_dropout": ("barrier", DROPPING, "draws random numbers in training"),
    "late_twin_with_dropout": (
        "barrier",
        [*DROPPING, "callbacks.barrier.split_step=5", "data.batch_size=10"],
        "draws random numbers in training",
    ),
    "ticket_with_dropout": (
        "pruning",
        [
            DROPPING[0],
            "callbacks.pruning.control=random_signs",
            "training.stopping.train_loss=null",
            "callbacks.pruning.rounds=3",
        ],
        "draws random numbers in training",
    ),
    "nonlinear": ("min_norm", [], "callbacks.min_norm is not allowed with this network"),
    "no_layer": ("geometry", ["callbacks.geometry.layers=[nope]"], "layers names 'nope'"),
    "few_rows": ("geometry", ["data.n_test=3"], "data.n_test=3 is not allowed"),
    "tanh": (
        "linear_pieces",
        ["data=tent", "model.activation=tanh"],
        "callbacks.linear_pieces is not allowed",
    ),
    "deep": ("least_squares,random_feature_risk", [*RISK, "model.depth=2"], "no linear readout on one layer"),
    "tanh_features": (
        "least_squares,random_feature_risk",
        [*RISK, "model.activation=tanh"],
        "callbacks.random_feature_risk is not allowed with this network",
    ),
    "biases": ("least_squares,random_feature_risk", [*RISK, "model.bias=true"], "without biases"),
    "no_readout": ("least_squares", NOISY, "callbacks.least_squares is not allowed"),
    "random": ("hessian", NOISY, "callbacks.hessian is not allowed with this network"),
    "task": ("unexplained_variance", ["data=digits"], "data.task=classification is not allowed"),
    "momentum": (
        "ntk",
        ["callbacks.ntk.linearized=true", "optimizer=sgd", "optimizer.momentum=0.9"],
        "callbacks.ntk.linearized=true is not allowed: ",
    ),
    "rescaled_tanh": (
        "landscape",
        ["callbacks.landscape.rescaling=2", "model.activation=tanh"],
        "callbacks.landscape is not allowed with this network",
    ),
    "balanced_trajectory": (
        "landscape",
        ["callbacks.landscape.directions=trajectory", "callbacks.landscape.balance=true"],
        "callbacks.landscape.balance=true is not allowed",
    ),
    "even": ("landscape", ["callbacks.landscape.line_points=10"], "an odd whole number"),
    "rate_of_global": (
        "pruning",
        ["callbacks.pruning.scope=global", "callbacks.pruning.readout_rate=0.2"],
        "callbacks.pruning.readout_rate=0.2 is not allowed",
    ),
}


def problems_of(config):
    try:
        Config.check(config)
    except ConfigError as error:
        return error.problems
    return find_build_problems(config)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused_before_training(name, compose_plain):
    callbacks, overrides, sentence = REFUSED[name]
    problems = problems_of(compose_plain(f"callbacks=[{callbacks}]", *overrides))
    assert any(sentence in problem for problem in problems), problems
    assert all(problem.endswith((".", "?")) and "\n" not in problem for problem in problems)


@pytest.mark.parametrize(
    "overrides",
    [
        ["callbacks=[hessian,ntk,sharpness,geometry,landscape,barrier,unexplained_variance]"],
        ["callbacks=[min_norm,least_squares]", "model=linear"],
        ["callbacks=[min_norm]", "model=random_features"],
        ["callbacks=[linear_pieces]", "data=tent"],
        ["callbacks=[least_squares,random_feature_risk,isotropic_risk]", *RISK],
        ["callbacks=[geometry,hessian,sharpness]", *SKIPPING],
        ["callbacks=[geometry,ntk,critical_points]", "data=digits", "data.n_train=30", "model.width=3"],
        ["callbacks=[unexplained_variance]", "trainer.precision=bf16-true"],
    ],
)
def test_what_can_be_done_is_not_refused_and_leaves_no_trace_of_the_trial(overrides, compose_plain):
    state = torch.get_rng_state()
    assert problems_of(compose_plain(*overrides)) == []
    assert torch.equal(torch.get_rng_state(), state)


def kind_of(settings: type[BaseModel], name: str) -> Kind | None:
    return next((item for item in settings.model_fields[name].metadata if isinstance(item, Kind)), None)


@pytest.mark.parametrize("target", SETTINGS)
def test_the_bounds_are_the_same_from_python_and_stand_in_one_place(target):
    """Each setting refuses what is neither a number, a word nor a list, with its name and what is allowed."""
    callback, settings = locate("callbacks", target), SETTINGS[target]
    required = {
        name: "math.sqrt" if name == "function" else 0.5
        for name, field in settings.model_fields.items()
        if field.is_required() and name != "target"
    }
    made = callback(**required)
    for name in settings.model_fields:
        if name == "target":
            continue
        kind = kind_of(settings, name)
        assert kind is not None
        assert isinstance(getattr(made.settings, name), object)
        wrong = "yes" if kind.words == "true or false" else {"a": 1}
        with pytest.raises(ConfigError) as error:
            callback(**{**required, name: wrong})
        (problem,) = error.value.problems
        assert f"{callback.name}.{name}=" in problem
        assert kind.allowed in problem
    with pytest.raises(ConfigError, match="is not a key"):
        callback(**required, nothing=1)
