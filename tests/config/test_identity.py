"""A run's identity tells apart what gives different results, and nothing else; that of 0.1 stays."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlexp.config import identity as module
from dlexp.config.identity import current_target, identity, run_folder_name, run_id
from dlexp.config.objects import locate

CONFIG = {"name": "train", "seed": 0, "model": {"width": 5, "init": None}, "rerun": False}
OF_VERSION_0_1 = json.loads(Path(__file__).with_name("identities_of_version_0.1.json").read_text())


def changed(**changes):
    return {**copy.deepcopy(CONFIG), **changes}


SET = [
    stored for stored in OF_VERSION_0_1 if all("." in line or "seed" in line for line in stored["overrides"])
]
CHOSEN = [stored for stored in OF_VERSION_0_1 if stored not in SET]  # which Hydra composes anew


@pytest.mark.parametrize(
    "pairs", [SET, CHOSEN[::12], *(pytest.param(CHOSEN[n::12], marks=pytest.mark.slow) for n in range(1, 12))]
)
def test_configurations_of_version_0_1_keep_their_identity(pairs, composer):
    for stored in pairs:
        plain = composer.compose(stored["overrides"]).plain
        found = identity(plain), run_id(plain, stored["overrides"])
        assert found == (stored["identity"], stored["run_id"]), stored["overrides"]


def test_what_does_not_affect_the_result_is_no_part_of_it():
    trainer, training = {"devices": 1, "max_steps": 3}, {"engine": "auto", "loss": "mse"}
    config = changed(trainer=trainer, training=training)
    other = changed(
        name="other",
        rerun=True,
        logger={"a": 1},
        objective="x",
        records="lean",
        trainer={**trainer, "devices": 4},
        training={**training, "engine": "loop"},
    )
    assert identity(config) == identity(other)
    assert identity(config) != identity(changed(trainer={**trainer, "max_steps": 4}, training=training))


def test_a_new_setting_that_is_none_leaves_the_identity():
    assert identity(CONFIG) == identity(changed(new=None, model={"width": 5}))


def test_a_class_that_has_moved_counts_as_where_it_was(monkeypatch):
    before = changed(callbacks={"a": {"_target_": "old.place.A"}})
    now = changed(callbacks={"a": {"_target_": "new.place.A"}})
    assert identity(before) != identity(now)
    monkeypatch.setitem(module.MOVED, "new.place.A", "old.place.A")
    assert identity(before) == identity(now)
    assert current_target("old.place.A") == current_target("new.place.A") == "new.place.A"


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


@pytest.mark.parametrize(
    ("content", "is_found"),
    [
        (json.dumps({"identity": identity(CONFIG), "status": "done"}), True),
        (json.dumps({"identity": identity(CONFIG), "status": "diverged"}), True),
        (json.dumps({"identity": identity(CONFIG), "status": "failed"}), False),
        (json.dumps({"identity": "another", "status": "done"}), False),
        ("{broken", False),
        ("[" * 100_000, False),
        ("[]", False),
    ],
)
def test_a_finished_run_is_found_under_another_name(content, is_found, tmp_path):
    folder = tmp_path / f"seed=0-{identity(CONFIG)[:8]}"
    folder.mkdir()
    (folder / "result.json").write_text(content)
    name = run_folder_name(CONFIG, ["model.width=5"], tmp_path)
    assert (name == folder.name) == is_found
    assert is_found or name.startswith("width=5,")


def test_what_has_moved_is_found_where_it_was():
    for now, before in module.MOVED.items():
        assert locate("key", before) is locate("key", now)
