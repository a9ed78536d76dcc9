"""Every configuration composes; the shared composition of a sweep equals Hydra's own."""

from pathlib import Path

import pytest
from hydra.errors import ConfigCompositionException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from dlexp.config.resolve import conf_directory
from dlexp.config.validation import find_problems
from dlexp.training.build import find_build_problems

CONF = conf_directory()
CHOICES = [
    f"{path.parent.relative_to(CONF)}={path.stem}"
    for group in ("data", "model", "optimizer", "trainer", "logger", "callbacks")
    for path in sorted((CONF / group).glob("*.yaml"))
    if path.stem not in ("base",) and not path.stem.startswith("_")
]


CONSTRUCTED = ("bumps", "tent_map", "shallow_tent_map")


def fitting(choice: str) -> list[str]:
    """What a choice needs beside it to be a job that makes sense."""
    return {
        "trainer=gpu": ["trainer.accelerator=cpu"],
        "callbacks=pruning": ["training.stopping.train_loss=null"],
        "callbacks=min_norm": ["model=linear"],
        "callbacks=linear_pieces": ["data.input_dim=1"],
        **{f"model={name}": ["trainer.precision=64-true", "data=damped_wave"] for name in CONSTRUCTED},
    }.get(choice, [])


@pytest.mark.parametrize("choice", CHOICES)
def test_every_option_composes_and_validates(choice, compose_plain):
    config = compose_plain(choice, *fitting(choice))
    assert find_problems(config) == []
    assert find_build_problems(config) == []


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda p: str(p.relative_to(CONF)))
def test_every_file_begins_with_the_command_that_runs_it(path: Path):
    lines = path.read_text().splitlines()
    first = lines[1] if lines[0].startswith("# @package") else lines[0]
    assert first.startswith("# python scripts/train.py")


OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        "model.width": st.integers(1, 500).map(str),
        "seed": st.integers(0, 9).map(str),
        "optimizer.lr": st.sampled_from(["0.1", "1e-3"]),
        "data": st.sampled_from(["sine_cosine", "gaussian_mixture"]),
        "optimizer": st.sampled_from(["sgd", "adam"]),
        "optimizer.betas": st.just("[0.5,0.9]"),
        "+model.options.extra": st.just("{a:1}"),
        "hydra.verbose": st.just("true"),
        "data.batch_size": st.sampled_from(["10", "full"]),
        "data.seed": st.just("7"),  # as composed an interpolation, as the next one
        "training.loss": st.just("half_mse"),
        "training.stopping.train_loss": st.just("null"),
        "debug": st.just("fast"),
    },
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(overrides=OVERRIDES)
def test_shared_composition_equals_hydras_own(overrides, loaders):
    loader, shared, master = loaders
    lines = [f"{key}={value}" for key, value in overrides.items()]
    assert OmegaConf.to_container(shared.load_sweep_config(master, lines)) == OmegaConf.to_container(
        loader.load_sweep_config(master, lines)
    )


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model.widht=5", "model.widht"),
        ("model.width=abc", "full_key: model.width"),
        ("callbacks.ntk.every=5", "callbacks.ntk"),
    ],
)
def test_unknown_keys_and_wrong_types_are_refused_by_their_full_name(override, named, loaders):
    _, shared, master = loaders
    with pytest.raises(ConfigCompositionException) as error:
        shared.load_sweep_config(master, [override])
    assert named in f"{error.value} {error.value.__cause__}"


def test_values_that_overlap_are_set_in_their_order(loaders):
    loader, shared, master = loaders
    for lines in (["seed=1", "seed=2"], ["seed=3", "seed=2"], ["seed=3", "seed=3"], ["seed=4", "seed=3"]):
        assert shared.load_sweep_config(master, lines).seed == loader.load_sweep_config(master, lines).seed


def test_a_value_that_could_not_be_set_is_set_for_the_next_job(loaders):
    loader, shared, master = loaders
    assert shared.load_sweep_config(master, ["seed=1", "model.width=5"]).model.width == 5
    with pytest.raises(ConfigCompositionException):
        shared.load_sweep_config(master, ["seed=2", "model.width=abc"])
    default = loader.load_sweep_config(master, ["seed=1"]).model.width
    assert shared.load_sweep_config(master, ["seed=1"]).model.width == default
    config = shared.load_sweep_config(master, ["seed=1", "model.width=5"])
    assert (config.seed, config.model.width) == (1, 5)
