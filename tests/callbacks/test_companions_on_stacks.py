"""Twins, surfaces and pruning on a stack of networks trained at once: the numbers of each network alone."""

import pytest

from dlexp.sweeps.grouping import group_key
from dlexp.sweeps.lockstep import Lockstep
from dlexp.sweeps.train_group import train_group
from dlexp.training.build import build
from dlexp.training.recorder import Recorder

DATA = [
    "data=sine_sum",
    "data.input_dim=5",
    "data.n_train=60",
    "data.n_test=40",
    "data.batch_size=16",
    "optimizer.schedule=cosine",
    "trainer.precision=64-true",
    "trainer.max_steps=24",
    "trainer.accelerator=cpu",
    "logger=none",
]
PRUNED = ["callbacks=[pruning]", "callbacks.pruning.rounds=2", "training.stopping.train_loss=null"]
CALLBACKS = {
    "twin and landscape": ["callbacks=[barrier,landscape]", "callbacks.barrier.curve_steps=20"],
    "twin split off": [
        "callbacks=[barrier]",
        "callbacks.barrier.split_step=7",
        "callbacks.barrier.every_n_steps=10",
        "callbacks.barrier.curve=false",
    ],
    "ticket": PRUNED,
    "control": [*PRUNED, "callbacks.pruning.control=reinitialize"],
    "a control each": PRUNED,
}
OF_EACH = {
    "a control each": [[f"callbacks.pruning.control={c}"] for c in ("none", "random", "random_signs")],
}
OPTIMIZERS = {
    "adam": ["optimizer=adam", "optimizer.lr=0.02"],
    "momentum": ["optimizer=sgd", "optimizer.lr=0.02", "optimizer.momentum=0.9"],
}


STACK_SIZES = {
    "twin and landscape": [3, 6],
    "twin split off": [3, 6],
    "ticket": [3],
    "control": [3, 6],
    "a control each": [3, 4],
}


def measured(recorder):
    return {name: value for name, value in recorder.final.items() if not name.startswith("seconds")}


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("momentum", marks=pytest.mark.slow)])
@pytest.mark.parametrize("callbacks", CALLBACKS)
def test_metrics_on_a_stack_are_those_of_each_network_alone(callbacks, optimizer, compose_plain, monkeypatch):
    """And the stack trains all networks: twins and tickets too."""
    sizes = []
    make = Lockstep.__init__

    def watched(lockstep, partition, states=None):
        sizes.append(sum(map(len, partition)))
        make(lockstep, partition, states)

    monkeypatch.setattr(Lockstep, "__init__", watched)
    configs = [
        compose_plain(
            *DATA,
            *OPTIMIZERS[optimizer],
            *CALLBACKS[callbacks],
            *own,
            f"seed={seed}",
            f"model.width={width}",
        )
        for seed, width, own in zip((0, 1, 2), (8, 8, 12), OF_EACH.get(callbacks, [[]] * 3), strict=True)
    ]
    assert len({group_key(config) for config in configs}) == 1
    group = train_group(configs)
    assert sizes == STACK_SIZES[callbacks]
    for config, trained in zip(configs, group.values(), strict=True):
        assert trained.error is None
        job = build(config, Recorder())
        job.trainer.fit(job.module, datamodule=job.datamodule)
        expected = measured(job.module.recorder)
        assert measured(trained.recorder) == pytest.approx(expected, rel=1e-7, abs=1e-10)
