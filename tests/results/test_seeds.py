"""Which seeds are one source of randomness, and which are crossed."""

from typing import Any

import pytest

from dlexp.results.seeds import crossed


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ([{"seed": s, "data.seed": s, "model.seed": s} for s in range(3)], ("seed",)),
        ([{"seed": s, "data.seed": 7, "model.seed": s} for s in range(3)], ("seed",)),
        ([{"seed": 0, "data.seed": s, "model.seed": 0} for s in range(3)], ("data.seed",)),
        (
            [{"seed": 0, "data.seed": s, "data.generator.teacher_seed": s} for s in range(3)],
            ("data.seed",),
        ),
        ([{"seed": 0}], ("seed",)),
        (
            [{"seed": 0, "data.seed": a, "model.seed": b} for a in range(2) for b in range(2)],
            ("data.seed", "model.seed"),
        ),
        (
            [{"seed": a, "data.seed": b, "model.seed": a} for a in range(2) for b in range(2)],
            ("seed", "data.seed"),
        ),
        (
            [
                {"seed": 0, "a_seed": a, "b.seed": b, "c.seed": c}
                for a in range(2)
                for b in range(2)
                for c in range(2)
            ],
            ("a_seed", "b.seed", "c.seed"),
        ),
    ],
)
def test_sources_of_randomness(run, seeds, expected):
    runs = [
        run(
            each.get("seed", 0),
            {},
            **{"data__seed": 0, **{key.replace(".", "__"): v for key, v in each.items() if key != "seed"}},
        )
        for each in seeds
    ]
    assert crossed([runs]) == expected


def test_settings_that_are_compared_share_their_sources(run):
    free = [run(seed, {}) for seed in range(3)]
    fixed: list[Any] = [run(seed, {}, data__seed=0) for seed in range(3)]
    assert crossed([free, fixed]) == ("seed",)
