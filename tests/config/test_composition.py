"""Jobs composed in plain data are those that Hydra composes and OmegaConf resolves."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from dlexp.config.compose import composer_of
from dlexp.config.errors import ConfigError
from dlexp.config.fill import fill
from dlexp.config.jobs import compose, compose_jobs
from dlexp.config.plain import to_plain
from tests.config.conftest import CONF, options, yaml_files

CONSTRUCTED = ["trainer.precision=64-true", "data=damped_wave"]
NEEDED = {  # what a choice needs beside it to be a job that makes sense
    "callbacks=pruning": ["training.stopping.train_loss=null"],
    "callbacks=linear_pieces": ["data.input_dim=1"],
    "callbacks=random_feature_risk": ["callbacks=[least_squares,random_feature_risk]", "trainer.max_steps=0"],
    "callbacks=function": ["callbacks.function.function=my.measure"],
    "model=own": ["model._target_=my.Network"],
    **{f"model={name}": CONSTRUCTED for name in ("bumps", "tent_map", "shallow_tent_map")},
}


@pytest.mark.parametrize("choice", options("data", "model", "optimizer", "trainer", "logger", "callbacks"))
def test_every_option_is_a_configuration_that_can_run(choice, composer):
    overrides = [choice, *NEEDED.get(choice, [])]
    assert compose_jobs(composer, [overrides[1:] if overrides[1:2] == ["callbacks=[least"] else overrides])


@pytest.mark.parametrize("path", yaml_files(), ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_begins_with_the_command_that_runs_it(path: Path):
    lines = path.read_text().splitlines()
    first = lines[1] if lines[0].startswith("# @package") else lines[0]
    assert first.startswith("# python scripts/train.py")


OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        "model.width": st.sampled_from(["1", "17", "null", "${data.input_dim}"]),
        "seed": st.integers(0, 9).map(str),
        "optimizer.lr": st.sampled_from(["0.1", "1e-3", "1", "${data.noise}"]),
        "data": st.sampled_from(["sine_cosine", "gaussian_mixture"]),
        "optimizer": st.sampled_from(["sgd", "adam"]),
        "optimizer.betas": st.sampled_from(["[0.5,0.9]", "[0,0.9]"]),
        "optimizer.betas.1": st.just("0.7"),
        "+model.options.extra": st.sampled_from(["{a:1}", "{first:${seed},list:[${seed},2]}"]),
        "hydra.verbose": st.just("true"),
        "data.batch_size": st.sampled_from(["10", "full"]),
        "data.seed": st.just("7"),
        "training.loss": st.just("half_mse"),
        "training.stopping.train_loss": st.sampled_from(["null", "0"]),
        "debug": st.just("fast"),
        "callbacks": st.sampled_from(["[least_squares,random_feature_risk]", "[hessian]", "[mine,ntk]"]),
        "name": st.sampled_from(["a_${seed}", "a_${data.task}", "'quoted text'", "2026"]),
        "objective": st.just("\\${seed}"),
        "hydra.sweep.dir": st.sampled_from(["out/${model.seed}", "out/${name}"]),
        "hydra.sweep.subdir": st.just("${data.task}_${hydra.job.num}"),
    },
)


@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(overrides=OVERRIDES)
def test_a_job_is_composed_as_hydra_composes_it(overrides, composer):
    lines = [f"{key}={value}" for key, value in overrides.items()]
    composed = composer.compose(lines, 3)
    config = composer.loader.load_sweep_config(composer.master, lines)
    config.hydra.job.num = 3
    assert repr(composed.plain) == repr(to_plain(config))  # 1 is not 1.0 here
    filled = OmegaConf.merge(config, to_plain(config))  # for interpolations of what follows from others
    assert composed.sweep_dir == filled.hydra.sweep.dir
    assert composed.subdir is None or composed.subdir == filled.hydra.sweep.subdir


def test_without_interpolations_of_what_follows_the_plain_data_is_omegaconfs(composer):
    lines = ["optimizer.lr=${data.noise}", "+model.options.x=[${data.n_train},{a:${model.width}}]"]
    config = composer.loader.load_sweep_config(composer.master, lines)
    keys = [key for key in config if key not in ("hydra", "study")]
    resolved = OmegaConf.to_container(OmegaConf.masked_copy(config, keys), resolve=True)
    assert to_plain(config) == fill(resolved)


def test_settings_follow_from_others_unless_they_are_set(composer):
    plain = composer.compose(["seed=3", "data.order_seed=5", "callbacks=[ntk,mine]", "data=parity"]).plain
    assert (plain["data"]["seed"], plain["data"]["order_seed"], plain["model"]["seed"]) == (3, 5, 3)
    assert plain["training"]["loss"] == "cross_entropy"
    assert plain["data"]["generator"]["input_dim"] == 10
    assert plain["callbacks"]["ntk"]["seed"] == 3
    assert plain["callbacks"]["mine"] == {"_target_": "my.Callback", "rate": 2, "seed": None}


def test_a_job_knows_its_number(composer):
    lines = ["threads=${hydra.job.num}", "name=${hydra.job.id}_${arm}"]
    assert [composer.compose(lines, n).plain["threads"] for n in (3, 7)] == [3, 7]
    assert composer.compose(lines, 7).plain["name"] == "7_None"


def test_null_leaves_a_callback_out(composer):
    lines = ["callbacks=[hessian,ntk]", "callbacks.hessian=null"]
    assert list(composer.compose(lines).plain["callbacks"]) == ["ntk"]


def test_all_problems_of_all_jobs_are_told_once_each(composer):
    with pytest.raises(ConfigError) as error:
        compose_jobs(composer, [["model.width=0"], ["model.width=0", "seed=-1"], ["seed=1"]])
    assert [problem.rpartition("(")[2] for problem in error.value.problems] == [
        "2 of 3 jobs)",
        "1 of 3 jobs)",
    ]


def test_jobs_that_would_share_a_folder_are_refused():
    composer = composer_of(["hydra.sweep.subdir=same"])
    with pytest.raises(
        ConfigError, match=r"hydra.sweep.subdir=same is not allowed: 2 jobs, .*seed=0 and seed=1"
    ):
        compose_jobs(composer, [["seed=0"], ["seed=1"]])
    assert len(compose_jobs(composer, [["seed=0"], ["seed=0"]])) == 2  # one job, twice


def test_a_jobs_folder_and_label(composer):
    jobs = compose_jobs(composer, [["name=a/b", "seed=0"], ["name=a/b", "seed=1"]], 4)
    assert [job.label for job in jobs] == ["seed=0", "seed=1"]
    assert [job.index for job in jobs] == [4, 5]
    assert all(
        job.folder == Path("outputs/a/b", f"seed={job.config.seed}-{job.identity[:8]}") for job in jobs
    )


def test_a_job_is_composed_within_another_application(composer):
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    with initialize_config_dir(str(CONF), version_base="1.3"):
        outer = GlobalHydra.instance().hydra
        assert compose("seed=4").config.seed == 4
        assert GlobalHydra.instance().hydra is outer


def test_composing_checking_and_identity_take_little_time(composer):
    jobs = [[f"model.width={w}", f"seed={s}", "data.noise=0.1"] for w in range(1, 21) for s in range(20)]
    compose_jobs(composer, jobs[::20])
    start = time.process_time()
    compose_jobs(composer, jobs)
    assert (time.process_time() - start) / len(jobs) < 2 * 2e-3  # .6 ms where nothing else runs


def test_composing_imports_no_torch():
    code = "import sys, dlexp.config.jobs, dlexp.config.obsolete; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
