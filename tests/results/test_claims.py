"""Claims that say nothing are refused in a sentence; those that do are read back from plain data."""

import math

import pytest

from dlexp.results.claims import Claim, at_least, at_most, between, claim_problems, exactly
from dlexp.results.kept import read_claims
from dlexp.results.statistic import ClaimError
from dlexp.results.statistics import KINDS, difference, peak, ratio, slope, value

LOSS = value("test/loss")


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("name", "Peak at 5"),
        ("text", ""),
        ("source", 1989),
        ("region", (6, 5)),
        ("region", (-math.inf, math.inf)),
        ("region", (1,)),
        ("region", 5),
        ("region", ("1", 2)),
        ("region", (True, 2)),
        ("region", (math.nan, 2)),
        ("controls", [1]),
        ("replicates", 0),
        ("replicates", 2.5),
        ("replicates", True),
        ("diverged", "ignore"),
        ("diverged", math.nan),
        ("diverged", None),
        ("figure", 1),
        ("scope", None),
        ("statistic", "value"),
    ],
)
def test_fields_that_are_not_allowed(claim, field, wrong):
    fields = {"statistic": LOSS, "region": at_least(0), field: wrong}
    with pytest.raises(ClaimError, match=f": {field}=.* is not allowed: it must be "):
        claim(**fields)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: value(""), "metric='' is not allowed: it must be a metric's name."),
        (lambda: value("a", 1), "where=1 is not allowed: it must be a mapping of settings to values."),
        (lambda: value("a", {"x": []}), "where x=[] is not allowed: it must be a value or a list of values."),
        (
            lambda: value("a", {"x": {"y": 1}}),
            "where x={'y': 1} is not allowed: it must be a value or a list of values.",
        ),
        (lambda: value("a", {"data.seed": 1}), "where data.seed=1 is not allowed: seeds are never selected."),
        (lambda: ratio(of=LOSS, to=0), "ratio: 0 is not allowed: the number of a ratio must be above 0."),
        (lambda: ratio(of=LOSS, to=math.inf), "inf is not allowed: it must be a finite number or value("),
        (
            lambda: difference(of=1, minus=2),
            "A statistic of numbers alone measures nothing: one side must be value(",
        ),
        (lambda: difference(of="a", minus=2), "'a' is not allowed: it must be a finite number or value("),
        (lambda: slope("a", along=""), "along='' is not allowed: it must be a setting or a metric."),
    ],
)
def test_statistics_that_are_not_allowed(make, sentence):
    with pytest.raises(ClaimError) as error:
        make()
    assert str(error.value).startswith(sentence)


def test_words():
    wide = value("a", {"x": None, "y": True, "arm": ["b", "c"]})
    assert str(ratio(of=wide, to=2)) == "geometric mean of the paired ratios a [x=null, y=true, arm=b|c] / 2"
    assert str(peak("a", along="w")) == "w at the maximum of the mean curve of a"


def test_problems_between_claims_are_told_together(claim):
    def named(name: str, *controls: str, figure: str | None = None) -> Claim:
        return claim(LOSS, at_least(0), name=name, controls=controls, figure=figure)

    claims = [named("a", "b"), named("b", "c"), named("c", "a"), named("d", "a"), named("e", "f", figure="x")]
    assert [*claim_problems([*claims, named("d")], ["y"])] == [
        "Claim d: name=d is not allowed: 2 claims have it.",
        *(
            f"Claim {name}: controls={control} is not allowed: the claim would control itself."
            for name, control in ("ab", "bc", "ca")
        ),
        "Claim e: controls=f is not allowed: it must be one of a, b, c, d, e.",
        "Claim e: figure=x is not allowed: it must be one of y.",
    ]
    diamond = [named("a", "b", "c"), named("b", "d"), named("c", "d"), named("d")]
    assert [*claim_problems(diamond)] == []


def test_plain_data_is_read_back(claim):
    where = {"arm": "x", "model.width": [1, 2], "y": None}
    statistics = [
        value("a", where),
        ratio(of=value("a", where), to=2.5),
        difference(of=1.0, minus=value("a")),
        *(
            KINDS[kind]("a", along="b", where=where)
            for kind in KINDS
            if kind not in ("value", "ratio", "difference")
        ),  # type: ignore[call-arg]
    ]
    assert {statistic.kind for statistic in statistics} == set(KINDS)
    regions = [at_least(0), at_most(1), between(1, 2), exactly(3)]
    claims = tuple(
        claim(
            statistic,
            regions[i % 4],
            name=f"c{i}",
            controls=["c0"] * (i > 0),
            diverged=[1.5, math.inf, "refuse"][i % 3],
        )
        for i, statistic in enumerate(statistics)
    )
    assert read_claims([each.as_data() for each in claims]) == claims


def test_claims_that_cannot_be_read_are_left_out_with_what_they_control(claim):
    good = claim(LOSS, at_least(0), name="good").as_data()
    own = {**claim(LOSS, at_least(0), name="own").as_data(), "statistic": {"kind": "median", "of": {}}}
    controlled = claim(LOSS, at_least(0), name="controlled", controls=["own"]).as_data()
    assert [each.name for each in read_claims([good, own, controlled, 5, {"name": "x"}])] == ["good"]
    assert read_claims(None) == ()
