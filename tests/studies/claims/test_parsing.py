"""Claims as study files have them; all problems are told at once."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from dlexp.studies.claims import ClaimError, parse_claims
from dlexp.studies.claims.definition import Statistic, Term

VALUE = {"kind": "value", "of": {"metric": "test/loss"}}
PEAK = {"kind": "peak", "metric": "test/loss", "along": "model.width", "where": {"arm": ["width", "wide"]}}

Plain = Callable[..., dict[str, Any]]


def problems(*claims: Any) -> list[str]:
    with pytest.raises(ClaimError) as error:
        parse_claims(list(claims))
    return str(error.value).splitlines()


def test_the_contract_s_example() -> None:
    (claim,) = parse_claims(
        [
            {
                "name": "peak_at_threshold",
                "text": "The test loss peaks at the first width whose parameters outnumber the samples.",
                "source": "Belkin et al. 2019; Nakkiran et al. 2020",
                "statistic": PEAK,
                "region": [5, None],
                "replicates": 3,
                "diverged": math.inf,
                "figure": "double_descent",
                "scope": "One sentence.",
            }
        ]
    )
    assert claim.statistic == Statistic(
        "peak", (Term("test/loss", {"arm": ("width", "wide")}),), "model.width"
    )
    assert claim.region == (5, math.inf)
    assert (claim.replicates, claim.diverged, claim.figure, claim.controls) == (
        3,
        math.inf,
        "double_descent",
        (),
    )
    assert (
        str(claim.statistic) == "model.width at the maximum of the mean curve of test/loss [arm=width|wide]"
    )


def test_defaults(plain: Plain) -> None:
    statistic = {"kind": "ratio", "of": {"metric": "a", "where": {"x": None, "y": True}}, "to": 2}
    sourceless = {key: value for key, value in plain(statistic, [None, 1]).items() if key != "source"}
    (claim,) = parse_claims([sourceless])
    assert (claim.source, claim.controls, claim.replicates, claim.diverged, claim.figure) == (
        "",
        (),
        5,
        "refuse",
        None,
    )
    assert claim.region == (-math.inf, 1)
    assert str(claim.statistic) == "geometric mean of the paired ratios a [x=null, y=true] / 2"
    assert parse_claims([]) == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "Peak at 5"),
        ("name", 5),
        ("text", ""),
        ("source", 1989),
        ("region", [6, 5]),
        ("region", [None, None]),
        ("region", [1]),
        ("region", 5),
        ("region", ["1", 2]),
        ("region", [True, 2]),
        ("region", [math.nan, 2]),
        ("controls", "other"),
        ("controls", [1]),
        ("replicates", 0),
        ("replicates", 2.5),
        ("replicates", True),
        ("diverged", "ignore"),
        ("diverged", math.nan),
        ("diverged", None),
        ("figure", 1),
        ("scope", None),
    ],
)
def test_values_that_are_not_allowed(plain: Plain, key: str, value: Any) -> None:
    (found,) = problems({**plain(VALUE, [0, 1]), key: value})
    label = (
        "Claim number 1" if key == "name" and value == 5 else f"Claim {value if key == 'name' else 'claim'}"
    )
    assert found.startswith(f"{label}: {key}={value!r} is not allowed: it must be ")


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("value", "statistic='value' is not allowed: it must be a mapping with the key kind."),
        ({"kind": "median"}, "statistic.kind='median' is not allowed: it must be one of value, difference, "),
        ({"kind": ["value"]}, "statistic.kind=['value'] is not allowed: it must be one of value, "),
        ({"kind": "value"}, "statistic.of is missing."),
        ({**VALUE, "to": 1}, "statistic.to is not a key; allowed: kind, of."),
        ({"kind": "value", "of": 3}, "statistic measures nothing; one of of must be a metric."),
        ({"kind": "value", "of": "a"}, "statistic.of='a' is not allowed: it must be a finite number or "),
        (
            {"kind": "value", "of": {"metric": 1}},
            "statistic.of.metric=1 is not allowed: it must be a metric's",
        ),
        ({"kind": "value", "of": {"metric": "a", "were": {}}}, "statistic.of.were is not a key; allowed: "),
        (
            {"kind": "value", "of": {"metric": "a", "where": 1}},
            "statistic.of.where=1 is not allowed: it must",
        ),
        (
            {"kind": "ratio", "of": {"metric": "a"}, "to": 0},
            "statistic.to=0 is not allowed: the number of a ",
        ),
        (
            {"kind": "ratio", "of": {"metric": "a"}, "to": math.inf},
            "statistic.to=inf is not allowed: it must",
        ),
        ({"kind": "slope", "metric": "a"}, "statistic.along is missing."),
        ({**PEAK, "along": 1}, "statistic.along=1 is not allowed: it must be a name."),
        ({**PEAK, "where": {"a": []}}, "statistic.where.a=[] is not allowed: it must be a value or a list"),
        ({**PEAK, "where": {"a": {"b": 1}}}, "statistic.where.a={'b': 1} is not allowed: it must be a value"),
    ],
)
def test_statistics_that_are_not_allowed(plain: Plain, statistic: Any, expected: str) -> None:
    (found,) = problems(plain(statistic, [0, 1]))
    assert found.startswith(f"Claim claim: {expected}")


def test_all_problems_of_all_claims_are_told(plain: Plain) -> None:
    assert problems(
        plain(VALUE, [2, 1], name="first", colour="red", controls=["nowhere"]),
        {"name": "second", "region": [0, 1]},
        5,
    ) == [
        "Claim first: colour is not a key; allowed: name, text, source, statistic, region, controls, "
        "replicates, diverged, figure, scope.",
        "Claim first: region=[2, 1] is not allowed: it must be [lowest, highest] in that order, null for an "
        "open end, and not open at both ends.",
        "Claim second: text is missing.",
        "Claim second: statistic is missing.",
        "Claim second: scope is missing.",
        "Claim number 3: 5 is not allowed: it must be a mapping of keys to values.",
        "Claim first: controls=nowhere is not allowed: it must be one of first, second.",
    ]
    with pytest.raises(ClaimError, match="it must be a list of claims"):
        parse_claims({"name": "first"})  # type: ignore[arg-type]


def test_names_are_unique_and_controls_make_no_circle(plain: Plain) -> None:
    assert problems(plain(VALUE, [0, 1]), plain(VALUE, [0, 1])) == [
        "Claim claim: name=claim is not allowed: 2 claims have it."
    ]
    circle = problems(
        plain(VALUE, [0, 1], name="a", controls=["b"]),
        plain(VALUE, [0, 1], name="b", controls=["c"]),
        plain(VALUE, [0, 1], name="c", controls=["a"]),
        plain(VALUE, [0, 1], name="d", controls=["a"]),
    )
    assert circle == [
        f"Claim {name}: controls={control} is not allowed: the claim would control itself."
        for name, control in ("ab", "bc", "ca")
    ]
    assert len(problems(plain(VALUE, [0, 1], controls=["claim"]))) == 1
    diamond = [("a", ["b", "c"]), ("b", ["d"]), ("c", ["d"]), ("d", [])]
    assert (
        len(parse_claims([plain(VALUE, [0, 1], name=name, controls=named) for name, named in diamond])) == 4
    )
