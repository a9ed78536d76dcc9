"""Every dlexp callback measures a member of a stack as it measures a network trained alone."""

import numpy as np
import pytest

from dlexp.config.identity import identity
from dlexp.sweeps.train_group import train_group
from dlexp.training.build import build
from dlexp.training.recorder import Recorder

COMMON = [
    "logger=none",
    "trainer.precision=64-true",
    "trainer.accelerator=cpu",
    "trainer.max_steps=24",
    "data.n_train=40",
    "data.n_test=30",
    "model.activation=tanh",
]
CALLBACKS = {
    "ntk": ["callbacks.ntk.every_n_steps=8"],
    "hessian": ["callbacks.hessian.every_n_steps=8"],
    "sharpness": ["callbacks.sharpness.every_n_steps=12"],
    "geometry": ["callbacks.geometry.every_n_steps=12"],
    "landscape": [],
    "barrier": ["callbacks.barrier.every_n_steps=12"],
    "pruning": ["callbacks.pruning.rounds=2", "training.stopping.train_loss=null"],
}
SPLIT = ["callbacks.barrier.partner=twin", "callbacks.barrier.split_step=6", "data.batch_size=10"]


@pytest.mark.parametrize(
    ("name", "extra"),
    [*CALLBACKS.items(), ("barrier", SPLIT)],
    ids=[*CALLBACKS, "barrier of a split twin"],
)
def test_callback_on_a_member_equals_callback_alone(name, extra, compose_plain):
    configs = [
        compose_plain(*COMMON, f"callbacks=[{name}]", *extra, f"model.width={width}", f"seed={seed}")
        for width, seed in ((3, 0), (6, 1))
    ]
    trained = train_group(configs)
    for config in configs:
        member = trained[identity(config)]
        assert member.error is None
        job = build(config, Recorder())
        job.trainer.fit(job.module, datamodule=job.datamodule)
        rows = [row for row in member.recorder._rows if not row[2].startswith("seconds/")]
        expected = [row for row in job.module.recorder._rows if not row[2].startswith("seconds/")]
        assert [row[:3] for row in rows] == [row[:3] for row in expected]
        for row, other in zip(rows, expected, strict=True):
            assert row[3] == pytest.approx(other[3], rel=1e-6, abs=1e-9, nan_ok=True), row
        arrays, others = member.recorder._arrays, job.module.recorder._arrays
        assert set(arrays) == set(others)
        for key, array in arrays.items():
            if array.dtype.kind == "f":
                np.testing.assert_allclose(array, others[key], rtol=1e-5, atol=1e-7, err_msg=key)
        assert set(member.recorder._figures) == set(job.module.recorder._figures)
