"""Networks that are no chains, trained by replaying a recorded step, equal the same networks alone."""

import random

import pytest

from tests.laws.comparison import assert_equal
from tests.laws.draws import Draw
from tests.laws.runs import train_alone, train_together
from tests.laws.strata import draw

SHAPES: dict[str, dict[str, list[object]]] = {
    "conv1d": {"data.input_dim": [9, 16], "model.width": [1, 3], "model.depth": [1, 2]},
    "cnn": {"data.input_dim": [16, 25], "model.width": [1, 2], "model.depth": [1, 2]},
    "residual": {"data.input_dim": [3, 6], "model.width": [2, 5], "model.depth": [1, 2]},
    "gru": {"data.input_dim": [3, 4], "model.width": [1, 3], "model.depth": [1, 2]},
    "transformer": {
        "data.input_dim": [8, 16],
        "model.width": [4, 8],
        "model.depth": [1, 2],
        "model.options.tokens": [2, 4],
    },
}
ACTIVATIONS = ["relu", "tanh", "gelu", "erf", "sigmoid"]
STRATA = [
    *("plain", "uneven_batches", "epochs", "threshold", "one_by_one", "patience", "divergence", "raises"),
    *("restarts", "barrier_to_twin", "twin_out_of_order", "stops_with_twins", "ntk", "hessian"),
    *("pruning_none", "pruning_random", "pruning_mixed", "pruning_rewound"),
]


def of_another_kind(number: int) -> Draw:
    """Return a draw of jobs of one of the models, in one of the strata."""
    rng = random.Random(f"replay/{number}")
    drawn = draw(STRATA[number % len(STRATA)], number)
    model = rng.choice(list(SHAPES))
    for own in (drawn.common, *drawn.members):
        for key in [key for key in own if key.startswith("model") and key != "model.seed"]:
            del own[key]
    drawn.common |= {"model": model, "training.engine": "replay"}
    drawn.common |= {key: rng.choice(values) for key, values in SHAPES[model].items()}
    if "callbacks.barrier.points" in drawn.common:
        drawn.common["callbacks.barrier.matching"] = False  # of chains alone
    if model != "gru":
        drawn.common["model.activation"] = rng.choice(ACTIVATIONS)
    return drawn


def check(drawn: Draw) -> None:
    configs = drawn.configs
    together = train_together(configs)
    assert [one.is_stacked for one in together] == [True] * len(configs)
    for index, (config, one) in enumerate(zip(configs, together, strict=True)):
        alone = train_alone(config)
        assert_equal(one, alone, lambda seed, c=config: train_alone(c, nudge=seed), f"{drawn}\njob {index}")


QUICK = [0, 5]


@pytest.mark.parametrize("number", QUICK)
def test_a_replayed_network_equals_itself_alone(number):
    check(of_another_kind(number))


@pytest.mark.slow
@pytest.mark.parametrize("number", [number for number in range(100) if number not in QUICK])
def test_more_replayed_networks_equal_themselves_alone(number):
    check(of_another_kind(number))
