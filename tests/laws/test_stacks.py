"""A job trained in a stack equals the job trained alone: every record, outcome, weight and moment."""

import pytest

from tests.laws.comparison import assert_equal
from tests.laws.draws import Draw
from tests.laws.runs import train_alone, train_together, why_alone
from tests.laws.strata import draw, draws


def check(drawn: Draw) -> None:
    configs = drawn.configs
    assert [why_alone(config) for config in configs] == [None] * len(configs)
    together = train_together(configs, eager=drawn.number % 2 == 0)
    assert [one.is_stacked for one in together] == [True] * len(configs)
    for index, (config, one) in enumerate(zip(configs, together, strict=True)):
        alone = train_alone(config)
        assert_equal(one, alone, lambda seed, c=config: train_alone(c, nudge=seed), f"{drawn}\njob {index}")


# Even draws are eager, odd ones as small networks are trained.
QUICK = [
    *draws([0]),
    *((name, 1) for name in ("plain", "patience", "stops_with_twins", "pruning_mixed", "restarts")),
]


@pytest.mark.parametrize(("stratum", "number"), QUICK)
def test_a_stack_equals_its_members_alone(stratum, number):
    check(draw(stratum, number))


@pytest.mark.slow
@pytest.mark.parametrize(("stratum", "number"), [one for one in draws(range(10)) if one not in QUICK])
def test_more_stacks_equal_their_members_alone(stratum, number):
    check(draw(stratum, number))
