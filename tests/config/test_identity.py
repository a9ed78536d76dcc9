"""A run's identity tells apart what gives different results, and nothing else."""

import copy
import json

from hypothesis import given
from hypothesis import strategies as st

from dlexp.config.identity import identity, run_folder_name, run_id

CONFIG = {"name": "train", "seed": 0, "model": {"width": 5, "init": None}, "rerun": False}


def changed(**changes):
    config = copy.deepcopy(CONFIG)
    for key, value in changes.items():
        config[key] = value
    return config


def test_identity_ignores_what_does_not_affect_the_result():
    assert identity(CONFIG) == identity(changed(name="other", rerun=True, logger={"a": 1}, objective="x"))


def test_a_new_setting_that_is_none_leaves_the_identity():
    assert identity(CONFIG) == identity(changed(new=None, model={"width": 5}))


@given(a=st.integers(0, 10**6), b=st.integers(0, 10**6))
def test_identity_is_injective_over_values(a, b):
    assert (identity(changed(seed=a)) == identity(changed(seed=b))) == (a == b)


def test_identity_tells_types_and_places_apart():
    configs = [
        changed(model={"width": 5}),
        changed(model={"width": "5"}),
        changed(model={"width": 5.0}),
        changed(model={"width": True}),
        changed(model={"depth": 5}),
        changed(width=5, model={}),
    ]
    assert len({identity(config) for config in configs}) == len(configs)


def test_run_id_is_readable():
    name = run_id(CONFIG, ["model.width=5", "name=x", "rerun=true", "hydra.run.dir=y"])
    assert name == f"width=5,seed=0-{identity(CONFIG)[:8]}"


def test_run_id_keeps_keys_apart_that_end_alike():
    name = run_id(CONFIG, ["data.seed=3", "a.lr=1", "b.lr=2"])
    assert name.startswith("data.seed=3,a.lr=1,b.lr=2,seed=0-")


def test_run_id_is_a_safe_folder_name():
    name = run_id(CONFIG, ["data.generator._target_=a/b c", "x=" + "y" * 300])
    assert "/" not in name
    assert " " not in name
    assert len(name) < 160


def test_finished_run_is_found_under_another_name(tmp_path):
    folder = tmp_path / f"seed=0-{identity(CONFIG)[:8]}"
    folder.mkdir()
    result = {"identity": identity(CONFIG), "status": "done"}
    (folder / "result.json").write_text(json.dumps(result))
    assert run_folder_name(CONFIG, ["model.width=5"], tmp_path) == folder.name


def test_failed_or_damaged_run_is_not_taken_for_finished(tmp_path):
    folder = tmp_path / f"seed=0-{identity(CONFIG)[:8]}"
    folder.mkdir()
    failed = json.dumps({"identity": identity(CONFIG), "status": "failed"})
    for content in (failed, "{broken"):
        (folder / "result.json").write_text(content)
        assert run_folder_name(CONFIG, ["model.width=5"], tmp_path).startswith("width=5")
