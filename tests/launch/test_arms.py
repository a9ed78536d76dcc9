"""A study's arms: which jobs they make, and which value of a key counts."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from dlexp.config.compose import composer_of
from dlexp.config.jobs import compose_jobs
from dlexp.launch.arms import ArmError, expand_arm, overrides_of, select_arms, sweep_overrides


def parse(*texts):
    return OverridesParser.create().parse_overrides(list(texts))


def expand(name="a", common=(), own=(), fast=(), command_line=()):
    return expand_arm(
        name,
        common=parse(*common),
        own=parse(*own),
        fast=parse(*fast),
        command_line=parse(*command_line),
    )


def test_the_jobs_of_an_arm_are_the_product_of_what_is_swept():
    assert expand(common=["seed=range(2)"], own=["model.width=1,5", "data.noise=0"]) == [
        ["arm=a", "seed=0", "model.width=1", "data.noise=0"],
        ["arm=a", "seed=0", "model.width=5", "data.noise=0"],
        ["arm=a", "seed=1", "model.width=1", "data.noise=0"],
        ["arm=a", "seed=1", "model.width=5", "data.noise=0"],
    ]


def test_without_arms_the_sweep_is_hydras_own():
    assert expand(name=None, common=["seed=1,2"], command_line=["seed=7", "model.width=3"]) == [
        ["seed=7", "model.width=3"]
    ]


@pytest.mark.parametrize(
    ("layers", "value"),
    [
        ({"common": ["x=1"]}, "1"),
        ({"common": ["x=1"], "own": ["x=2"]}, "2"),
        ({"common": ["x=1"], "own": ["x=2"], "fast": ["x=3"]}, "3"),
        ({"common": ["x=1"], "fast": ["x=3"], "command_line": ["x=4"]}, "4"),
        # what an arm sweeps can be narrowed, what it fixes makes it that arm
        ({"own": ["x=2,3"], "command_line": ["x=4"]}, "4"),
        ({"own": ["x=2"], "command_line": ["x=4"]}, "2"),
        ({"own": ["x=2"], "command_line": ["+x=4"]}, "2"),
    ],
)
def test_of_a_keys_values_the_last_given_counts_but_for_what_an_arm_fixes(layers, value):
    assert expand(**layers) == [["arm=a", f"x={value}"]]


def test_several_fast_values_take_the_place_of_several_values_only():
    fast = ["x=7,8", "seed=range(2)"]
    assert expand(common=["seed=0"], own=["x=1,2,3"], fast=fast) == [
        ["arm=a", "seed=0", "x=7"],
        ["arm=a", "seed=0", "x=8"],
    ]
    assert expand(own=["x=1"], fast=fast) == [["arm=a", "x=1"]]
    assert expand(own=["y=1"], fast=fast) == [["arm=a", "y=1"]]


def test_settings_become_overrides_in_hydras_syntax():
    settings = {"a": None, "b": True, "c": [1, 2], "d": "range(3)", "e": 0.5, "f": "x,y"}
    assert overrides_of(settings) == ["a=null", "b=true", "c=[1,2]", "d=range(3)", "e=0.5", "f=x,y"]


def test_the_command_line_selects_arms():
    assert select_arms(["a", "b", "c"], parse("seed=1")) == ["a", "b", "c"]
    assert select_arms(["a", "b", "c"], parse("arm=c,a")) == ["c", "a"]
    assert select_arms(["a", "b", "c"], parse("arm=b")) == ["b"]


def test_an_arm_that_does_not_exist_is_refused_by_name():
    with pytest.raises(ArmError, match=r"arm=z is not allowed: it must be one of a, b\."):
        select_arms(["a", "b"], parse("arm=a,z"))
    with pytest.raises(ArmError, match="this sweep has no arms"):
        select_arms([], parse("arm=a"))


def test_a_continuous_range_is_refused():
    with pytest.raises(ArmError, match="a sweep needs a list of values"):
        expand(own=["x=interval(0,1)"])


def test_a_range_without_values_is_refused():
    with pytest.raises(ArmError, match=r"x=range\(0\) is not allowed: it has no values\."):
        expand(own=["x=range(0)"])


def test_a_studys_jobs_can_be_composed():
    line = ["study=double_descent", "arm=width,samples", "model.width=5,50", "seed=0,1", "debug=fast"]
    composer = composer_of(line)
    jobs = compose_jobs(composer, sweep_overrides(composer.master, line, composer.loader))
    assert {(job.config.arm, job.config.model.width) for job in jobs} == {
        ("width", 5),
        ("width", 50),
        ("samples", 10),  # which the arm fixes
    }
    assert {job.folder.parent.name for job in jobs} == {"double_descent_fast"}
    with pytest.raises(ArmError, match=r"did you mean width\?"):
        sweep_overrides(composer.master, ["study=double_descent", "arm=widht"], composer.loader)
