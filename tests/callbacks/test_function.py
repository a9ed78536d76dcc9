"""A function of one's own as a measure."""

import pytest

from dlexp.callbacks.function import Function
from dlexp.train.problems import find_build_problems

HERE = "tests.callbacks.test_function"


def largest(member):
    return member.network(member.tensors.x_test).abs().max()


def two(member):
    return {"mine/step": member.step, "mine/twice": 2 * member.step}


def broken(member):
    return member.network.nothing


def chosen(name):
    return ["callbacks=function", f"callbacks.function.function={HERE}.{name}"]


@pytest.mark.parametrize("engine", ["auto", "loop"])
def test_a_number_is_recorded_by_the_functions_name_and_a_mapping_by_its_own(engine, run):
    asked = [f"training.engine={engine}", "callbacks.function.every_n_steps=6"]
    found, _ = run(*chosen("two"), *asked, "objective=mine/twice")
    assert [(r[0], r[3]) for r in found.rows() if r[2] == "mine/twice"] == [(0, 0), (6, 12), (12, 24)]
    one, _ = run(*chosen("largest"), *asked)
    assert one.metrics["function/largest"] > 0


def test_what_a_function_cannot_do_is_said_before_training(compose_plain):
    (problem,) = find_build_problems(compose_plain(*chosen("broken")))
    assert problem.startswith("callbacks.function is not allowed with this network: ")
    (problem,) = find_build_problems(compose_plain(*chosen("missing")))
    assert f"{HERE}.missing is not allowed" in problem


def test_a_path_is_needed():
    with pytest.raises(ValueError, match=r"callbacks\.function\.function|function\.function"):
        Function(function="nothing dotted")
