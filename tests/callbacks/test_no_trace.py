"""Measuring changes nothing: the training, its state and every random state are bitwise as without."""

import random

import numpy as np
import pytest
import torch

from dlexp.callbacks.base import MeasureCallback
from dlexp.config.schedule import Schedule
from tests.callbacks.reading import fitted

SMALL = [
    *("data.n_train=12", "data.n_test=8", "data.input_dim=3", "data.batch_size=5", "model.width=4"),
    *("optimizer=adam", "trainer.max_steps=5", "trainer.accelerator=cpu", "logger=none"),
    "training.stopping.train_loss=null",
]
CALLBACKS = {
    "barrier": ["callbacks.barrier.partner=initialization", "callbacks.barrier.curve_steps=3"],
    "critical_points": ["callbacks.critical_points.max_steps=3"],
    "geometry": ["data=gaussian_mixture"],
    "hessian": [],
    "landscape": ["callbacks.landscape.lines=2", "callbacks.landscape.plane_points=3"],
    "linear_pieces": ["data=tent", "data.input_dim=1"],
    "min_norm": ["model=linear", "model.width=null"],
    "ntk": [],
    "sharpness": ["callbacks.sharpness.n_starts=2", "callbacks.sharpness.max_steps=3"],
    "unexplained_variance": [],
}
PRODUCTS = ["callbacks.hessian.dense_up_to=0", "callbacks.hessian.trace_probes=2"]
CASES = {
    **{name: (name, more) for name, more in CALLBACKS.items()},
    "hessian_products": ("hessian", PRODUCTS),
}


def state_of(member):
    """Return all that training goes on from."""
    network = member.network
    named = {name: value.clone() for name, value in network.state_dict().items()}
    gradients = {name: None if p.grad is None else p.grad.clone() for name, p in network.named_parameters()}
    moments = {n: {k: v.clone() for k, v in s.items()} for n, s in member.optimizer_state().items()}
    modes = [module.training for module in network.modules()]
    numpy_state = np.random.get_state()[1]  # noqa: NPY002
    drawn = torch.get_rng_state(), numpy_state, random.getstate()
    return named, gradients, moments, modes, drawn


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(np.all(one == other))


@pytest.mark.parametrize("engine", ["loop", "stack"])
@pytest.mark.parametrize("case", CASES)
def test_training_goes_on_as_if_nobody_had_looked(case, engine, compose_plain, monkeypatch):
    name, more = CASES[case]
    settings = [*SMALL, *[s for s in more if not s.startswith("callbacks.")], f"training.engine={engine}"]
    plain = fitted(compose_plain(*settings))
    looks = []
    for hook in ("on_train_start", "_measure_and_record", "on_train_end"):
        inner = getattr(MeasureCallback, hook)

        def watched(callback, *arguments, inner=inner):
            member = arguments[-1]
            before = state_of(member)
            inner(callback, *arguments)
            looks.append(same(before, state_of(member)))

        monkeypatch.setattr(MeasureCallback, hook, watched)
    chosen = [f"callbacks=[{name}]", f"callbacks.{name}.every_n_steps=1", *more]
    member = fitted(compose_plain(*settings, *chosen))
    assert looks == [True] * 8  # six measurements, the start and the end
    assert same(plain.network.state_dict(), member.network.state_dict())
    for metric in ("train/loss", "test/loss"):
        assert plain.recorder.series(metric) == member.recorder.series(metric)


class Counting(MeasureCallback):
    """Counts its measurements."""

    name = "counting"
    settings_model = Schedule

    def measure(self, member):
        assert not any(module.training for module in member.network.modules())
        return {"counting/step": member.step}


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({}, [0, 30]),
        ({"at_start": False}, [30]),
        ({"at_end": False}, [0]),
        ({"every_n_steps": 7}, [0, 7, 14, 21, 28, 30]),
        ({"every_n_epochs": 4}, [0, 12, 24, 30]),  # three batches an epoch
        ({"log_spaced": 2, "at_end": False}, [0, 1, 3, 10, 30]),
        ({"every_n_steps": 10, "every_n_epochs": 5}, [0, 10, 15, 20, 30]),
    ],
)
def test_it_is_measured_when_it_is_due_and_once_a_step(settings, steps, compose_plain):
    config = compose_plain(*SMALL, "trainer.max_steps=30")
    counting = Counting(**settings)
    member = fitted(config, counting)
    assert [int(s) for s in member.recorder.series("counting/step")[1]] == steps
    assert len([row for row in member.recorder._rows if row[2] == "counting/step"]) == len(steps)
    assert member.recorder.final["seconds/counting"] >= 0
    due = counting.due_steps(30, 3)
    most = {0} | due | ({30} if counting.settings.at_end else set())
    assert counting.settings.fewest_measurements(30, 3) <= len(most)


def test_a_network_that_has_diverged_is_not_measured(compose_plain):
    config = compose_plain(*SMALL, "optimizer=sgd", "optimizer.lr=1e20", "trainer.max_steps=9")
    member = fitted(config, Counting(every_n_steps=1))
    assert member.outcome == "diverged"
    assert len(member.recorder.series("counting/step")[0]) < 9
    assert "seconds/counting" not in member.recorder.final
