"""The plain configuration of a job, read sooner, is the one that OmegaConf resolves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import II, MISSING, OmegaConf
from omegaconf.errors import InterpolationKeyError, MissingMandatoryValue

from dlexp.config.plain import PlainReader, to_plain
from dlexp.config.resolve import sweep_folder


@dataclass
class Node:
    ratio: float = II("number")
    label: str = II("number")


@dataclass
class Root:
    number: Any = 1
    node: Node = MISSING
    free: Any = None


def config_of(number: Any = 1, free: Any = None):
    return OmegaConf.structured(Root(number=number, node=Node(), free=free))


SEEDS = st.sampled_from(["seed=0", "seed=1", "seed=7"])
MORE = st.sampled_from(
    [
        "data.seed=5",
        "data=gaussian_mixture",
        "data.noise=0.25",
        "optimizer.lr=${data.noise}",
        "+model.options.extra={first:${seed},list:[${seed},2]}",
        "callbacks=[least_squares,random_feature_risk]",
        "name=a_${seed}",
        "name=a_${data.task}_${training.loss}",
        "objective=\\${seed}",
        "hydra.sweep.dir=out/${model.seed}",
        "hydra.sweep.subdir=${data.task}",
    ]
)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(jobs=st.lists(st.tuples(SEEDS, st.lists(MORE, max_size=2, unique=True)), min_size=2, max_size=4))
def test_a_sweeps_jobs_are_read_as_omegaconf_resolves_them(jobs, loaders):
    _, shared, master = loaders
    read = PlainReader()
    for seed, more in jobs:
        config = shared.load_sweep_config(master, [seed, *more])
        plain = read(config)
        assert repr(plain) == repr(to_plain(config))  # 1 is not 1.0 here
        folder = sweep_folder(config, plain, read)
        assert folder == Path(config.hydra.sweep.dir, str(config.hydra.sweep.subdir))


@pytest.mark.parametrize("numbers", [[1, 2, 3], [1.5, 2, 2.5], ["7", 8, "9"], [1, None, 1]])
def test_typed_keys_convert_what_they_are_given(numbers):
    read = PlainReader()
    for number in numbers:
        config = config_of(
            number, free={"deep": ["${number}", "${node.label}", {"x": "${free.other}"}], "other": 3}
        )
        if number is None:
            continue
        assert repr(read(config)) == repr(to_plain(config))


def test_chains_nodes_and_keys_without_a_name_are_resolved():
    free = {
        "first": "${free.second}",
        "second": "${number}",
        3: "${number}",
        "all": "${free.list}",
        "list": [1, "${number}"],
    }
    read = PlainReader()
    for number in (1, 2):
        config = config_of(number, free)
        assert repr(read(config)) == repr(to_plain(config))


def test_what_is_missing_or_names_nothing_is_an_error():
    with pytest.raises(InterpolationKeyError):
        PlainReader()(config_of(free={"a": "${nothing.here}"}))
    with pytest.raises(MissingMandatoryValue):
        PlainReader()(config_of(free={"a": "???"}))
