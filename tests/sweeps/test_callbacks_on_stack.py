"""Callbacks measure a member of a stack as they measure a network trained alone.

For barrier, landscape and pruning see tests/callbacks/test_companions_on_stacks.py.
"""

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
}


@pytest.mark.parametrize(("name", "extra"), CALLBACKS.items(), ids=CALLBACKS)
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
