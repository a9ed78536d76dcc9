"""A group trained as one against the same jobs trained alone: every row of every member's record."""

import math

import pytest
import torch
from dlexp.sweeps.group import GroupModule
from dlexp.sweeps.lockstep import Lockstep
from dlexp.sweeps.train_group import make_member, train_group
from dlexp.training.build import build, make_datamodule, make_network, make_trainer, network_settings
from dlexp.training.optimizers import make_optimizer
from dlexp.training.plan import Blocks
from dlexp.training.recorder import Recorder
from dlexp.training.steps import run_steps
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dlexp.config.identity import identity

FLOAT64 = ["logger=none", "trainer.precision=64-true", "trainer.accelerator=cpu"]


def alone(config):
    job = build(config, Recorder())
    job.trainer.fit(job.module, datamodule=job.datamodule)
    return job.module


def assert_same(config, trained, tolerance):
    module = alone(config)
    rows, expected = trained.recorder._rows, module.recorder._rows
    assert [row[:3] for row in rows] == [row[:3] for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert row[3] == pytest.approx(other[3], rel=tolerance, abs=1e-300), (config["model"], row, other)
    assert trained.outcome == module.outcome
    for name, value in module.network.state_dict().items():
        assert trained.state[name].shape == value.shape
        assert torch.allclose(trained.state[name], value, rtol=0, atol=10 * tolerance)


def compare(compose_plain, common, variants, tolerance=1e-9):
    configs = [compose_plain(*FLOAT64, *common, *variant) for variant in variants]
    trained = train_group(configs)
    for config in configs:
        assert_same(config, trained[identity(config)], tolerance)


WIDTHS = [[f"model.width={width}", f"seed={seed}"] for width in (1, 3, 20) for seed in (0, 1)]


# An example that fails is as small as it gets: shrinking would only train the same groups again.
@settings(
    deadline=None,
    max_examples=8,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(data=st.data())
def test_members_equal_their_serial_runs_in_float64(data, compose_plain):
    def draw(key, *values):
        return f"{key}={data.draw(st.sampled_from(values), label=key)}"

    parametrization = draw("model.parametrization", "standard", "ntk", "mup")
    optimizer = data.draw(st.sampled_from(["sgd", "adam", "adamw", "gradient_descent"]), label="optimizer")
    batch = "full" if optimizer == "gradient_descent" else data.draw(st.sampled_from(["full", "32"]))
    common = [
        "trainer.max_steps=60",
        f"optimizer={optimizer}",
        f"data.batch_size={batch}",
        "optimizer.lr=0.003",
        draw("optimizer.schedule", "constant", "cosine", "linear"),
        draw("model.depth", 1, 2, 3),
        draw("model.activation", "relu", "tanh", "gelu", "erf", "sigmoid", "linear"),
        draw("model.bias", "true", "false"),
        draw("training.loss", "mse", "half_mse"),
        parametrization,
    ]
    compare(compose_plain, common, WIDTHS)


def test_a_thousand_steps_agree_to_one_part_in_a_billion(compose_plain):
    compare(compose_plain, ["trainer.max_steps=1000", "data.batch_size=50"], WIDTHS)


def test_float32_agrees_over_a_hundred_steps(compose_plain):
    variants = [[*v, "trainer.precision=32-true"] for v in WIDTHS]
    compare(compose_plain, ["trainer.max_steps=100"], variants, tolerance=1e-4)


def test_members_may_differ_in_all_that_is_free(compose_plain):
    variants = [
        ["model.width=5", "optimizer.lr=0.1", "optimizer.momentum=0.9"],
        ["model.width=9", "optimizer.lr=0.01", "data.noise=0.1", "data.seed=4"],
        ["model.width=9", "optimizer.weight_decay=0.1", "data.order_seed=3"],
        ["model.width=2", "model.parametrization=ntk", "model.weight_std=0.5"],
        ["model.width=30", "model.parametrization=mup", "seed=5", "data.generator.teacher_seed=1"],
    ]
    common = ["optimizer=sgd", "trainer.max_steps=50", "data.batch_size=30", "model.depth=2"]
    compare(compose_plain, common, variants)


def test_classification(compose_plain):
    compare(compose_plain, ["data=gaussian_mixture", "data.batch_size=64", "trainer.max_steps=40"], WIDTHS)


def test_budgets_solve_to_layers_of_unequal_width(compose_plain):
    variants = [["model.budget=500"], ["model.budget=777"], ["model.budget=1234", "seed=2"]]
    compare(compose_plain, ["model=deep", "trainer.max_steps=30"], variants)


def test_a_member_that_has_converged_is_frozen_while_others_go_on(compose_plain):
    common = ["trainer.max_steps=1500", "training.stopping.train_loss=0.05"]
    configs = [compose_plain(*FLOAT64, *common, f"model.width={w}") for w in (1, 60)]
    trained = train_group(configs)
    slow, fast = (trained[identity(config)] for config in configs)
    assert (slow.outcome, fast.outcome) == ("completed", "converged")
    assert fast.step < slow.step == 1500
    for config in configs:
        assert_same(config, trained[identity(config)], 1e-9)


def stacks_of(monkeypatch):
    """Return a list that grows by the number of networks of each stack that is made."""
    sizes = []
    make = Lockstep.__init__

    def watched(lockstep, partition, states=None):
        sizes.append(sum(map(len, partition)))
        make(lockstep, partition, states)

    monkeypatch.setattr(Lockstep, "__init__", watched)
    return sizes


OPTIMIZERS = {
    "momentum": ["optimizer=sgd", "optimizer.momentum=0.9"],
    "adam": ["optimizer=adam"],
    "adamw": ["optimizer=adamw", "optimizer.weight_decay=0.1"],
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stacking_the_others_anew_when_members_end_changes_no_number(optimizer, compose_plain, monkeypatch):
    common = [
        *OPTIMIZERS[optimizer],
        "optimizer.schedule=cosine",
        "trainer.max_steps=90",
        "data.batch_size=30",
        "model.activation=sigmoid",
        "training.stopping.check_every_n_steps=10",
        "training.stopping.patience=20",
        "training.stopping.min_delta=0.02",
    ]
    variants = [
        [f"optimizer.lr={lr}", f"model.width={w}", f"seed={w}"] for lr in (3e-2, 1e-3, 1e-5) for w in (2, 9)
    ]
    configs = [compose_plain(*FLOAT64, *common, *variant) for variant in variants]
    sizes = stacks_of(monkeypatch)
    monkeypatch.setattr("dlexp.sweeps.group.COMPACT_BELOW", 0)
    whole = train_group(configs)
    assert sizes == [6]
    monkeypatch.setattr("dlexp.sweeps.group.COMPACT_BELOW", math.inf)
    compacted = train_group(configs)
    assert len(sizes) > 2
    assert sizes[1:] == sorted(sizes[1:], reverse=True)
    assert len({one.step for one in whole.values()}) > 1
    for key, one in compacted.items():
        assert (one.outcome, one.step) == (whole[key].outcome, whole[key].step)
        for row, other in zip(one.recorder._rows, whole[key].recorder._rows, strict=True):
            assert row[:3] == other[:3]
            assert row[3] == pytest.approx(other[3], rel=1e-12)
        for name, value in whole[key].state.items():
            assert torch.allclose(one.state[name], value, rtol=1e-12, atol=1e-13)


def test_the_others_are_stacked_anew_once_most_have_ended(compose_plain, monkeypatch):
    common = ["trainer.max_steps=60", "training.stopping.check_every_n_steps=10", "data.batch_size=full"]
    thresholds = ["10000.0", "1e-9"]
    sizes = stacks_of(monkeypatch)
    monkeypatch.setattr("dlexp.sweeps.buckets.LAYER_OVERHEAD", 0.0)
    for n_early, expected in ((1, [5]), (4, [5, 1])):
        members = [
            make_member(config, make_datamodule(config), torch.device("cpu"), torch.float64)
            for config in (
                compose_plain(
                    *FLOAT64, *common, f"seed={s}", f"training.stopping.train_loss={thresholds[s >= n_early]}"
                )
                for s in range(5)
            )
        ]
        sizes.clear()
        group = GroupModule(members)
        trainer = make_trainer(compose_plain(*FLOAT64, *common), [], [], in_blocks=True)
        trainer.fit(group, train_dataloaders=Blocks(group.plan))
        assert sizes == expected
        assert [step for step, _ in group.states.values()] == [10] * n_early + [60] * (5 - n_early)


def test_learning_rates_by_layer_matter_and_are_those_of_each_network_alone(compose_plain):
    """With mup a stack that left out the factors of the layers would train other networks."""
    common = ["optimizer=sgd", "optimizer.lr=0.02", "trainer.max_steps=20", "model.depth=2"]
    widths = [["model.width=16"], ["model.width=256"]]
    configs = [compose_plain(*FLOAT64, *common, "model.parametrization=mup", *width) for width in widths]
    trained = train_group(configs)
    for config in configs:
        module = alone(config)
        without_factors = make_network(network_settings(config)).double()
        without_factors.learning_rate_factors = lambda name: {}
        optimizer = make_optimizer(without_factors, **module.optimizer_settings)
        schedule, data = module.schedule, module.batches
        run_steps(without_factors, module.loss_fn, optimizer, schedule, data, 0, 20)
        for name, value in trained[identity(config)].state.items():
            own, other = module.network.state_dict()[name], without_factors.state_dict()[name]
            assert torch.allclose(value, own, rtol=1e-9, atol=1e-12)
            if name != "hidden_2.weight":  # its factor is 1 under SGD
                assert not torch.allclose(other, own, rtol=1e-3)


def test_a_member_that_diverges_touches_no_other(compose_plain):
    common = ["trainer.max_steps=300", "optimizer=sgd", "data.batch_size=full"]
    variants = [["optimizer.lr=0.01"], ["optimizer.lr=1e8"], ["optimizer.lr=0.01", "model.width=7"]]
    configs = [compose_plain(*FLOAT64, *common, *v) for v in variants]
    trained = [train_group(configs)[identity(config)] for config in configs]
    assert [t.outcome for t in trained] == ["completed", "diverged", "completed"]
    assert all(math.isfinite(value) for t in trained for value in t.recorder.final.values())
    for config, one in zip(configs, trained, strict=True):
        if one.outcome == "completed":
            assert_same(config, one, 1e-9)


def test_a_callback_that_fails_ends_its_member_alone(compose_plain, tmp_path, monkeypatch):
    (tmp_path / "breaking.py").write_text(
        "from dlexp.callbacks.base import MeasureCallback\n"
        "class Breaks(MeasureCallback):\n"
        "    name = 'breaks'\n"
        "    def measure(self, module):\n"
        "        if module.network.hidden_1.out_features == 3 and module.step == 20:\n"
        "            raise RuntimeError('three is a crowd')\n"
        "        return {'width': module.network.hidden_1.out_features}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    common = [
        "trainer.max_steps=40",
        "+callbacks.b._target_=breaking.Breaks",
        "+callbacks.b.every_n_steps=10",
    ]
    configs = [compose_plain(*FLOAT64, *common, f"model.width={w}") for w in (2, 3, 4)]
    trained = [train_group(configs)[identity(config)] for config in configs]
    assert [str(t.error) for t in trained] == ["None", "three is a crowd", "None"]
    assert trained[2].recorder.final["width"] == 4
    assert [t.step for t in trained] == [40, 20, 40]


def test_a_group_is_the_same_whatever_else_is_in_it(compose_plain):
    configs = [compose_plain(*FLOAT64, "trainer.max_steps=30", *v) for v in WIDTHS]
    whole = train_group(configs)
    part = train_group(configs[2:4])
    for key, one in part.items():
        for row, other in zip(one.recorder._rows, whole[key].recorder._rows, strict=True):
            assert row[:3] == other[:3]
            assert row[3] == pytest.approx(other[3], rel=1e-12)


def test_training_a_group_leaves_the_global_generator_alone(compose_plain):
    state = torch.get_rng_state()
    train_group([compose_plain(*FLOAT64, "trainer.max_steps=5", f"seed={s}") for s in (0, 1)])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_group_on_a_gpu_equals_group_on_the_cpu(compose_plain):
    def run(accelerator):
        precision = ["logger=none", "trainer.precision=64-true", f"trainer.accelerator={accelerator}"]
        return train_group([compose_plain(*precision, "trainer.max_steps=50", *v) for v in WIDTHS])

    for one, other in zip(run("cpu").values(), run("gpu").values(), strict=True):
        for name, value in one.recorder.final.items():
            assert other.recorder.final[name] == pytest.approx(value, rel=1e-9)
