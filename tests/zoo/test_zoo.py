"""Every measure on every animal: the right number or a refusal in one sentence, and nothing left behind."""

import warnings
from collections.abc import Iterator
from functools import cache

import pytest
from torch import nn

from tests.zoo.animals import ANIMALS
from tests.zoo.footprint import footprint
from tests.zoo.measures import MEASURES
from tests.zoo.oracle import Oracle

_oracle = cache(lambda animal: Oracle(ANIMALS[animal]))


def _used(animal: str) -> nn.Module:
    """Return the animal after a step of training, in which it got gradients and whatever else it keeps."""
    network = ANIMALS[animal].fresh()
    if ANIMALS[animal].fixed:
        network(ANIMALS[animal].data()).square().mean().backward()
    return network


def pairs() -> Iterator[object]:
    """Yield each animal with each measure; the quick tests take each 32nd pair."""
    for i, animal in enumerate(ANIMALS):
        for j, measure in enumerate(MEASURES):
            is_quick = (i + j) % 32 == 0
            yield pytest.param(
                animal, measure, id=f"{animal}-{measure}", marks=[] if is_quick else pytest.mark.slow
            )


@pytest.mark.parametrize(("animal", "measure"), [*pairs()])
def test_a_measure_is_right_or_refuses_and_leaves_no_trace(animal: str, measure: str) -> None:
    kind, asked = ANIMALS[animal], MEASURES[measure]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network, oracle = _used(animal), _oracle(animal)
        before = footprint(network)
        refusal = None
        try:
            asked.check(network, oracle)
        except (ValueError, TypeError) as error:
            refusal = str(error)
        after = footprint(network)
    assert [key for key in before if before[key] != after.get(key)] == []
    assert list(before) == list(after)
    if not kind.fixed and asked.calls:
        assert refusal is not None
    if refusal is None:
        return
    assert "\n" not in refusal
    may_refuse = not kind.fixed or (asked.by_row and not kind.by_row) or asked.of_chains or measure == "masks"
    assert may_refuse, refusal
