"""Members trained together each end as they end alone, whatever becomes of the others."""

import math

import pytest
import torch

from dlexp.train import build, choose
from dlexp.train.build import make_member
from dlexp.train.fit import fit
from dlexp.train.job import run_tasks
from dlexp.train.job_folder import Task
from dlexp.train.replay.engine import Replay
from dlexp.train.stacks import buckets
from dlexp.train.stacks.engine import Stacks
from dlexp.train.stacks.gradients import Gradients

FLOAT64 = ["trainer.precision=64-true", "data.batch_size=8"]
BREAKS = ["+callbacks.b._target_=tests.train.foreign.Breaks", "+callbacks.b.every_n_steps=10"]
TAKES_ALONG = ["+callbacks.t._target_=tests.train.foreign.TakesAlong", "+callbacks.t.every_n_steps=5"]
STOPPING = ["training.stopping.check_every_n_steps=10", "training.stopping.train_loss=0.5"]
MOMENTUM = ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.lr=0.01"]


def trained(configs, engine=None):
    """Train members together; return them, and what was on hand as each ended."""
    members = [make_member(config) for config in configs]
    ends = {}

    def on_end(member):
        weights = {name: value.clone() for name, value in member.network.state_dict().items()}
        ends[member] = member.step, weights, member.optimizer_state()

    fit(configs[0], members, engine=engine, on_end=on_end)
    assert list(ends) == sorted(ends, key=lambda member: ends[member][0]), "members do not end in their order"
    return [(member, *ends[member]) for member in members]


def assert_close(found, expected, path=""):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for key, value in expected.items():
            assert_close(found[key], value, f"{path} {key}")
    else:
        assert torch.allclose(found, expected.to(found.dtype), rtol=1e-9, atol=1e-11, equal_nan=True), path


def assert_ends_as_alone(config, member, step, weights, state):
    ((alone, *rest),) = trained([config], engine="loop")
    assert (member.outcome, step, str(member.error)) == (alone.outcome, rest[0], str(alone.error))
    rows = [[row for row in m.recorder._rows if not row[2].startswith("seconds/")] for m in (member, alone)]
    assert [row[:3] for row in rows[0]] == [row[:3] for row in rows[1]]
    for row, other in zip(*rows, strict=True):
        assert row[3] == pytest.approx(other[3], rel=1e-9, abs=1e-12), (row, other)
    if member.outcome != "diverged":
        assert_close(weights, rest[1])
        assert_close(state, rest[2])


ENSEMBLES = {
    "one diverges": [[*MOMENTUM, f"optimizer.lr={lr}", "model.width=4"] for lr in (0.01, 1e9, 0.02)],
    "a callback of one raises": [[*BREAKS, f"model.width={width}"] for width in (2, 3, 4)],
    "some converge": [
        [*STOPPING, "optimizer.lr=0.1", f"model.width={w}", f"seed={w}"] for w in (1, 5, 40, 60)
    ],
    "companions join, networks restart": [
        [*TAKES_ALONG, *rule, f"model.width={width}"] for width in (3, 9) for rule in (["optimizer=adam"],)
    ],
    "companions, momentum": [[*TAKES_ALONG, *MOMENTUM, f"model.width={width}"] for width in (3, 9)],
    "companions beside members that end": [
        [*TAKES_ALONG, *STOPPING, "optimizer.lr=0.1", f"model.width={w}"] for w in (1, 5, 40, 60)
    ],
    "a network of one raises, in the loop": [
        ["model=linear", "model._target_=tests.train.foreign.Fragile", f"model.width={w}"] for w in (2, 3)
    ]
    + [["model=two_layer", f"model.width={w}"] for w in (3, 4)],
    "unlike in all that is free": [
        [*MOMENTUM, "model.width=5", "optimizer.lr=0.1", "training.loss=huber"],
        [*MOMENTUM, "model.width=9", "data.noise=0.1", "data.seed=4", "optimizer.weight_decay=0.1"],
        ["optimizer=adamw", "model.width=9", "data.order_seed=3", "model.depth=3"],
        ["optimizer=sgd", "model.width=30", "model.parametrization=mup", "optimizer.schedule=linear"],
    ],
}


@pytest.mark.parametrize("compact_below", [0.0, math.inf])
@pytest.mark.parametrize("name", ENSEMBLES)
def test_each_member_ends_as_it_does_alone(name, compact_below, small, monkeypatch):
    monkeypatch.setattr(choose, "COMPACT_BELOW", compact_below)
    configs = [small(*FLOAT64, *overrides) for overrides in ENSEMBLES[name]]
    together = trained(configs)
    assert len({(member.outcome, step) for member, step, *_ in together}) > 1 or "one" not in name
    for config, ended in zip(configs, together, strict=True):
        assert_ends_as_alone(config, *ended)


def test_who_is_stacked_is_told_and_why_others_are_not(small):
    fragile = ["model=linear", "model._target_=tests.train.foreign.Fragile"]
    rows = [["model.width=4"], ["model.width=5"], [*fragile, "model.width=4"]]
    rows += [["optimizer._target_=torch.optim.RMSprop", "optimizer.name=null"]]
    rows += [["trainer.gradient_clip_val=0.1"]]
    members = [member for member, *_ in trained([small(*overrides) for overrides in rows])]
    assert [member.remarks for member in members] == [
        ["trained as one of 2 networks at once"],
        ["trained as one of 2 networks at once"],
        ["trained by itself: the network itself is a Fragile; no other network is like it"],
        ["trained by itself: optimizer._target_=torch.optim.RMSprop is trained by torch alone"],
        ["trained by itself: its gradients are accumulated or clipped"],
    ]


def test_members_are_stacked_anew_once_most_have_ended(small, monkeypatch):
    sizes = []
    make = Stacks.__init__
    monkeypatch.setattr(Stacks, "__init__", lambda self, m, *a: (sizes.append(len(m)), make(self, m, *a))[1])
    monkeypatch.setattr(buckets, "LAYER_OVERHEAD", 0.0)
    for early, expected in ((1, [5]), (4, [5, 1])):
        sizes.clear()
        thresholds = ["10000.0"] * early + ["1e-9"] * (5 - early)
        rows = [[f"training.stopping.train_loss={t}", f"seed={s}"] for s, t in enumerate(thresholds)]
        ended = trained([small("training.stopping.check_every_n_steps=10", *row) for row in rows])
        assert sizes == expected
        assert [step for _, step, *_ in ended] == [10] * early + [30] * (5 - early)


def plant(monkeypatch, first_call):
    """Let a stack's gradients of its second member be wrong from some call on."""
    right, calls = Gradients.__call__, []

    def wrong(self, x, y):
        right(self, x, y)
        calls.append(1)
        if len(calls) >= first_call and len(self.stack) > 1:
            self.stack.blocks["readout.bias"].of_member(self.stack.gradients, 1).mul_(2)

    monkeypatch.setattr(Gradients, "__call__", wrong)


def test_a_member_that_a_stack_would_train_wrongly_is_trained_by_the_loop(small, monkeypatch):
    configs = [small(*FLOAT64, "model.width=4", f"seed={seed}") for seed in range(3)]
    plant(monkeypatch, first_call=1)
    together = trained(configs)
    for config, ended in zip(configs, together, strict=True):
        assert_ends_as_alone(config, *ended)
    assert any("the gradient of readout.bias" in (member.stack_difference or "") for member, *_ in together)


def test_a_member_whose_stack_ends_elsewhere_is_trained_again(small, monkeypatch, tmp_path):
    configs = [small(*FLOAT64, "model.width=4", f"seed={seed}") for seed in range(3)]
    right = Stacks.evaluate
    monkeypatch.setattr(
        Stacks, "evaluate", lambda self, split: {k: v * 1.01 for k, v in right(self, split).items()}
    )
    runs = run_tasks([Task(config, [], tmp_path / str(i)) for i, config in enumerate(configs)])
    monkeypatch.undo()
    for config, run in zip(configs, runs, strict=True):
        ((alone, *_),) = trained([config], engine="loop")
        assert run.status == "done"
        assert run.metrics == pytest.approx(alone.recorder.final, rel=1e-12)
        assert "trained by itself: train/loss is " in (run.folder / "train.log").read_text()


def test_an_engine_can_be_asked_for(small, tmp_path):
    fragile = ["model=linear", "model._target_=tests.train.foreign.Fragile", "model.width=4"]
    asked = {engine: small(f"training.engine={engine}") for engine in ("auto", "loop", "stack", "replay")}
    asked["refused"] = small("training.engine=stack", *fragile)
    runs = {key: run_tasks([Task(c, [], tmp_path / key)])[0] for key, c in asked.items()}
    logs = {key: (tmp_path / key / "train.log").read_text() for key in runs}
    assert "training.engine=loop" in logs["loop"]
    assert "trained as one of 1" in logs["stack"]
    assert "trained as one of 1" in logs["replay"]
    assert runs["replay"].metrics == pytest.approx(runs["loop"].metrics, rel=1e-4)
    assert len({run.identity for key, run in runs.items() if key != "refused"}) == 1
    assert runs["refused"].status == "failed"
    assert "training.engine=stack is not allowed: the network itself is a Fragile" in runs["refused"].error


def test_a_job_is_written_when_its_member_ends(small, tmp_path, monkeypatch):
    """An interrupt loses what is in training alone."""
    rows = [["training.stopping.train_loss=10000.0", "seed=0"], ["seed=1"]]
    configs = [small("training.stopping.check_every_n_steps=10", *row) for row in rows]
    right = Stacks.advance

    def interrupted(self, start, stop):
        if start >= 20:
            raise KeyboardInterrupt
        right(self, start, stop)

    monkeypatch.setattr(Stacks, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_tasks([Task(config, [], tmp_path / str(i)) for i, config in enumerate(configs)])
    assert [(tmp_path / str(i) / "result.json").exists() for i in (0, 1)] == [True, False]
    monkeypatch.undo()
    before = (tmp_path / "0" / "result.json").stat().st_mtime_ns
    runs = run_tasks([Task(config, [], tmp_path / str(i)) for i, config in enumerate(configs)])
    assert [run.status for run in runs] == ["done", "done"]
    assert (tmp_path / "0" / "result.json").stat().st_mtime_ns == before


def test_training_tells_how_far_it_is(small):
    told = []
    configs = [small(f"seed={seed}") for seed in (0, 1)]
    fit(configs[0], [make_member(config) for config in configs], report=lambda *where: told.append(where))
    assert [where[0] for where in told] == sorted(where[0] for where in told)
    assert told[-1][:2] == (30, 30)
    assert math.isnan(told[-1][2])  # of two members there is no one loss to show


def test_foreign_networks_share_a_replayed_step_where_it_pays(small, monkeypatch):
    model = ["model=residual", "model.width=4", "model.depth=1", "data.batch_size=7", *FLOAT64]
    configs = [small(*model, f"seed={seed}") for seed in range(3)]
    assert all("pays from 500 steps" in member.remarks[0] for member, *_ in trained(configs))
    monkeypatch.setattr(choose, "REPLAY_FROM", 30)
    assert build.reason_alone(configs[0]) is None
    together = trained(configs)
    for config, ended in zip(configs, together, strict=True):
        assert_ends_as_alone(config, *ended)
        assert ended[0].remarks == ["trained as one of 3 networks at once"]


def test_a_replayed_network_that_changes_is_trained_again_by_the_loop(small, monkeypatch, tmp_path):
    monkeypatch.setattr(choose, "REPLAY_FROM", 30)
    model = ["model=residual", "model.width=4", "model.depth=1", "data.batch_size=7", *FLOAT64]
    configs = [small(*model, f"seed={seed}") for seed in range(3)]
    right = Replay.differences
    monkeypatch.setattr(
        Replay,
        "differences",
        lambda self, step: right(self, step) | ({self.members[1]: "x"} if step > 9 else {}),
    )
    runs = run_tasks([Task(config, [], tmp_path / str(i)) for i, config in enumerate(configs)])
    logs = [(run.folder / "train.log").read_text() for run in runs]
    assert ["trained by itself: x" in log for log in logs] == [False, True, False]
    monkeypatch.undo()
    for config, run in zip(configs, runs, strict=True):
        ((alone, *_),) = trained([config], engine="loop")
        assert run.metrics == pytest.approx(alone.recorder.final, rel=1e-9)


def test_a_callback_that_fails_when_it_is_set_up_ends_its_job_with_its_error(small, tmp_path):
    barrier = ["model=residual", "model.width=4", "callbacks=[barrier]"]
    (run,) = run_tasks([Task(small(*barrier), [], tmp_path / "job")])
    assert run.status == "failed"
    assert "must be a chain" in run.error
    assert (tmp_path / "job" / "result.json").exists()
