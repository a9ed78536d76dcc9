"""From runs to findings: pairing, controls, and everything that may be missing."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from dlexp.studies.claims import Finding, judge, parse_claims
from dlexp.studies.runs import DIVERGED, FAILED, UNFINISHED, UNREADABLE, Run

VALUE = {"kind": "value", "of": {"metric": "test/loss"}}
WIDTHS = (1, 2, 5, 50)
PEAK = {"kind": "peak", "metric": "test/loss", "along": "model.width"}


def term(**where: Any) -> dict[str, Any]:
    return {"metric": "test/loss", "where": {key.replace("__", "."): value for key, value in where.items()}}


@pytest.fixture
def five(run: Callable[..., Run]) -> list[Run]:
    """Five seeds of one setting, with a loss near 1."""
    return [run(seed, {"test/loss": 1 + 0.01 * seed}) for seed in range(5)]


@pytest.fixture
def peaked(curve: Callable[..., list[Run]]) -> list[Run]:
    return curve([[0.3, 0.5, 1.5 + 0.1 * seed, 0.4] for seed in range(5)], WIDTHS)


def test_a_finding_holds_what_there_is_to_say(find: Callable[..., Finding], five: list[Run]) -> None:
    found = find(VALUE, [0.9, 1.1], five, figure="losses")
    assert (found.verdict, found.n, found.replicates) == ("supported", 5, 5)
    assert found.reason == f"The whole interval [{found.low:.4g}, {found.high:.4g}] lies in the region."
    assert found.statistic == "mean of test/loss"
    assert (found.text, found.source, found.scope) == ("It is so.", "Theory 1989", "It shows it here.")
    assert found.figure == "losses"
    assert found.region == (0.9, 1.1)
    assert found.values == {seed: 1 + 0.01 * seed for seed in range(5)}
    assert found.estimate == pytest.approx(1.02)
    assert found.low < found.estimate < found.high


@pytest.mark.parametrize(
    ("region", "verdict", "reason"),
    [
        ([None, 1.1], "supported", "lies in the region"),
        ([1.1, None], "not supported", "lies outside the region"),
        ([1.02, None], "inconclusive", "lies in the region only in part"),
        ([1.01, 1.03], "inconclusive", "lies in the region only in part"),
    ],
)
def test_region(
    find: Callable[..., Finding], five: list[Run], region: Any, verdict: str, reason: str
) -> None:
    found = find(VALUE, region, five)
    assert found.verdict == verdict
    assert reason in found.reason


def test_seeds_are_paired(find: Callable[..., Finding], run: Callable[..., Run]) -> None:
    """Seeds differ by 10, settings by .5 in each: unpaired, the interval would hold 0."""
    runs = [
        run(seed, {"test/loss": 10.0 * seed + 0.5 * (width == 2) + 0.01 * seed**2}, model__width=width)
        for seed in range(5)
        for width in (1, 2)
    ]
    statistic = {"kind": "difference", "of": term(model__width=2), "minus": term(model__width=1)}
    assert find(statistic, [0.4, 0.6], runs).verdict == "supported"
    shuffled = [
        replace(each, seed=(each.seed + 2) % 5, config={**each.config, "seed": (each.seed + 2) % 5})
        if each.config["model.width"] == 2
        else each
        for each in runs
    ]
    found = find(statistic, [0.4, 0.6], shuffled)
    assert found.verdict == "inconclusive"
    assert found.estimate == pytest.approx(0.5)


def test_whole_rows_of_a_curve_are_resampled(find: Callable[..., Finding], curve: Callable[..., Any]) -> None:
    """Each seed has a scale of its own; resampling points apart would move the peak."""
    rows = [[scale * value for value in (1.0, 1.5, 1.6, 1.2)] for scale in (1, 3, 10, 30, 100)]
    assert find(PEAK, [5, 5], curve(rows, WIDTHS)).verdict == "supported"


def test_curve_along_a_metric(find: Callable[..., Finding], curve: Callable[..., list[Run]]) -> None:
    rows = [[(1 + 0.01 * seed) / (22 * width) for width in WIDTHS] for seed in range(5)]
    statistic = {"kind": "slope", "metric": "test/loss", "along": "model/parameters"}
    found = find(statistic, [-1.01, -0.99], curve(rows, WIDTHS))
    assert found.verdict == "supported"
    assert found.estimate == pytest.approx(-1)


def test_where_selects_runs(find: Callable[..., Finding], curve: Callable[..., list[Run]]) -> None:
    noisy = curve([[0.3, 0.5, 1.5, 0.4]] * 5, WIDTHS, arm="noisy", data__noise=0.5)
    clean = curve([[0.3, 0.2, 0.1, 0.05]] * 5, WIDTHS, arm="clean", data__noise=0)
    for where, peak in (
        ({"arm": "noisy"}, 5),
        ({"data.noise": 0.0}, 1),
        ({"model.width": [1, 2, 50], "arm": "noisy"}, 2),
    ):
        found = find({**PEAK, "where": where}, [peak, peak], noisy + clean)
        assert (found.estimate, found.verdict) == (peak, "supported")
    assert find({**PEAK, "where": {"data.noise": False}}, [5, 5], clean).reason.startswith(
        "There are no runs for"
    )


def test_null_matches_what_is_not_set(find: Callable[..., Finding], five: list[Run]) -> None:
    assert find({"kind": "value", "of": term(arm=None)}, [0, 2], five).verdict == "supported"


def test_equality_to_a_closed_form(find: Callable[..., Finding], run: Callable[..., Run]) -> None:
    runs = [run(seed, {"test/loss": 1.0 + seed, "risk/exact": 1.0 + seed}) for seed in range(5)]
    statistic = {"kind": "ratio", "of": {"metric": "test/loss"}, "to": {"metric": "risk/exact"}}
    found = find(statistic, [1, 1], runs)
    assert (found.low, found.estimate, found.high, found.verdict) == (1, 1, 1, "supported")
    constant = find({"kind": "difference", "of": {"metric": "test/loss"}, "minus": 3}, [-2, 2], runs)
    assert constant.estimate == pytest.approx(0)


def test_several_runs_of_a_seed(find: Callable[..., Finding], run: Callable[..., Run]) -> None:
    runs = [run(seed, {"test/loss": 1.0}, optimizer__lr=lr) for seed in range(5) for lr in (0.1, 0.2)]
    found = find(VALUE, [0, 2], runs)
    assert found.verdict == "inconclusive"
    assert found.reason == "Several runs of seed 0 match test/loss: they differ in optimizer.lr."
    assert find(VALUE, [0, 2], runs[::-1]) == found
    same = [replace(each, config={**each.config, "optimizer.lr": 0.1}) for each in runs]
    other = [
        replace(each, config={**each.config, "data.seed": 9}) if n % 2 else each
        for n, each in enumerate(same)
    ]
    assert find(VALUE, [0, 2], other).reason.endswith("they differ in data.seed.")
    assert find(VALUE, [0, 2], same).reason.endswith("they differ in nothing that affects their results.")


def test_settings_that_were_narrowed_away(find: Callable[..., Finding], peaked: list[Run]) -> None:
    def narrowed(*widths: int) -> list[Run]:
        return [each for each in peaked if each.config["model.width"] in widths]

    def reason(statistic: Mapping[str, Any], runs: list[Run]) -> str:
        found = find(statistic, [5, 5], runs)
        assert found.verdict == "inconclusive"
        return found.reason

    assert reason(PEAK, narrowed(2, 5)) == "The curve has 2 points, and its peak needs 3."
    assert reason(PEAK, narrowed(1, 2, 50)) == "No point of the curve lies in the region."
    listed = {**PEAK, "where": {"model.width": [1, 2, 5, 50]}}
    assert reason(listed, narrowed(1, 2, 5)) == "There are no runs with model.width=50."
    ratio = {"kind": "ratio", "of": term(model__width=5), "to": term(model__width=50)}
    assert reason(ratio, narrowed(1, 2, 5)) == "There are no runs for test/loss [model.width=50]."
    assert reason(PEAK, []) == "There are no runs for test/loss."
    assert (
        reason({**PEAK, "along": "optimizer.name"}, peaked) == "optimizer.name is not a number in all runs."
    )
    assert reason({**PEAK, "along": "ntk/drift"}, peaked) == "No run has the setting or metric ntk/drift."
    assert reason({**PEAK, "metric": "ntk/drift"}, peaked) == "No run has the metric ntk/drift."


def test_too_few_seeds(find: Callable[..., Finding], five: list[Run]) -> None:
    found = find(VALUE, [0, 2], five[:3])
    assert (found.verdict, found.n, found.reason) == ("inconclusive", 3, "Only 3 of 5 seeds are finished.")
    assert found.low < found.estimate < found.high
    assert find(VALUE, [5, 6], five[:3]).verdict == "inconclusive"  # outside decides no more than inside
    one = find(VALUE, [0, 2], five[:1])
    assert one.estimate == 1
    assert math.isnan(one.low)
    assert find(VALUE, [0, 2], five[:3], replicates=3).verdict == "supported"


def test_a_deterministic_study_has_a_point(find: Callable[..., Finding], five: list[Run]) -> None:
    found = find(VALUE, [1, 1], five[:1], replicates=1)
    assert (found.low, found.high, found.verdict) == (1, 1, "supported")


@pytest.mark.parametrize(
    ("status", "metrics", "what"),
    [
        (FAILED, {}, "1 run failed"),
        (UNFINISHED, {}, "1 run did not finish"),
        (UNREADABLE, {}, "1 run did not finish"),
        ("done", {"test/loss": math.nan}, "1 run gave no finite value"),
        ("done", {"test/loss": math.inf}, "1 run gave no finite value"),
        ("done", {}, "1 run gave no finite value"),
    ],
)
def test_missing_replicates(
    find: Callable[..., Finding],
    run: Callable[..., Run],
    five: list[Run],
    status: str,
    metrics: Any,
    what: str,
) -> None:
    lost = run(5, metrics, status=status)
    for region in ([0, 2], [5, 6]):
        found = find(VALUE, region, [*five, lost])
        assert (found.verdict, found.n) == ("inconclusive", 5)
        assert found.reason == f"Replicates are missing: {what}."
    assert find(VALUE, [0, 2], [*five[:4], lost]).reason == f"Only 4 of 5 seeds are finished ({what})."
    elsewhere = run(5, metrics, status=status, arm="other")
    assert find({"kind": "value", "of": term(arm=None)}, [0, 2], [*five, elsewhere]).verdict == "supported"


def test_what_an_unfinished_run_does_not_tell_counts_against(
    find: Callable[..., Finding], run: Callable[..., Run], five: list[Run]
) -> None:
    runs = [replace(each, config={**each.config, "model.width": 5}) for each in five]
    statistic = {"kind": "value", "of": term(model__width=5)}
    unknown = run(5, {}, status=UNFINISHED)
    assert find(statistic, [0, 2], [*runs, unknown]).verdict == "inconclusive"
    nothing_known = replace(unknown, config={})
    other = run(5, {}, status=UNFINISHED, model__width=6)
    assert find(statistic, [0, 2], [*runs, nothing_known, other]).verdict == "supported"


def test_a_seed_with_a_point_missing_is_not_used(find: Callable[..., Finding], peaked: list[Run]) -> None:
    found = find(PEAK, [5, 5], peaked[:-1])
    assert (found.n, found.verdict) == (4, "inconclusive")
    assert found.reason == "Only 4 of 5 seeds are finished (1 seed not run in full)."
    assert find(PEAK, [5, 5], peaked[:-1], replicates=4).verdict == "supported"


def test_diverged_runs_count_as_the_claim_says(
    find: Callable[..., Finding], run: Callable[..., Run], five: list[Run]
) -> None:
    runs = [*five, run(5, {"test/loss": 1.0}, status=DIVERGED)]
    refused = find(VALUE, [0, 2], runs)
    assert (refused.verdict, refused.n) == ("inconclusive", 5)
    assert refused.reason == "1 run diverged, and the claim does not say how they count."
    left_out = find(VALUE, [0, 2], runs, diverged="leave_out")
    assert (left_out.verdict, left_out.n) == ("supported", 5)
    few = find(VALUE, [0, 2], runs[1:], diverged="leave_out")
    assert few.reason == "Only 4 of 5 seeds are finished (1 run diverged)."
    counted = find(VALUE, [0, 2], runs, diverged=7)
    assert (counted.values[5], counted.verdict, counted.n) == (7, "inconclusive", 6)
    infinite = find(VALUE, [0, 2], runs, diverged=math.inf)
    assert (infinite.estimate, infinite.high, infinite.verdict) == (math.inf, math.inf, "inconclusive")
    all_diverged = [replace(each, status=DIVERGED) for each in runs]
    assert find(VALUE, [100, None], all_diverged, diverged=math.inf).verdict == "supported"
    assert (
        find(VALUE, [100, None], all_diverged).reason == "Only 0 of 5 seeds are finished (6 runs diverged)."
    )


def test_a_diverged_run_without_a_position_is_missing(
    find: Callable[..., Finding], curve: Callable[..., list[Run]]
) -> None:
    *runs, last = curve([[1 / width for width in WIDTHS]] * 6, WIDTHS)
    runs.append(replace(last, status=DIVERGED, metrics={"model/parameters": math.nan}))
    statistic = {"kind": "slope", "metric": "test/loss", "along": "model/parameters"}
    found = find(statistic, [-2, 0], runs, diverged=1)
    assert (found.n, found.reason) == (5, "Replicates are missing: 1 run gave no finite value.")


def test_statistics_that_are_not_defined(
    find: Callable[..., Finding], curve: Callable[..., list[Run]]
) -> None:
    runs = curve([[1, 2, 3, 4]] * 4 + [[1, 0, 3, 4]], WIDTHS)
    found = find({**PEAK, "kind": "slope"}, [0, 9], runs)
    assert found.verdict == "inconclusive"
    assert found.reason == (
        "The statistic is not defined for seed 4: all values and positions must be positive and finite, "
        "and the positions must differ."
    )
    flat = find(PEAK, [1, 50], curve([[1, 1, 1, 1]] * 5, WIDTHS))
    assert flat.reason == "The statistic is not defined: the mean curve has no single maximum."


def test_controls(plain: Callable[..., dict[str, Any]], five: list[Run]) -> None:
    claims = [
        plain(VALUE, [0, 2], name="claim", controls=["behaves", "fails"]),
        plain(VALUE, [0, 2], name="behaves"),
        plain(VALUE, [5, 6], name="fails"),
        plain(VALUE, [0, 2], name="second", controls=["claim"]),
        plain(VALUE, [5, 6], name="false_anyway", controls=["fails"]),
        plain(VALUE, [0, 2], name="good", controls=["behaves"]),
    ]
    found = {finding.name: finding for finding in judge(parse_claims(claims), five)}
    assert list(found) == [claim["name"] for claim in claims]
    assert found["claim"].verdict == "inconclusive"
    assert found["claim"].reason == "Its control fails is not supported."
    assert found["claim"].controls == (("behaves", "supported"), ("fails", "not supported"))
    assert found["second"].reason == "Its control claim is inconclusive."
    assert found["false_anyway"].verdict == "not supported"
    assert found["good"].verdict == "supported"
    assert [finding.name for finding in found.values() if finding.is_control] == ["claim", "behaves", "fails"]


def test_order_of_runs_does_not_matter(find: Callable[..., Finding], peaked: list[Run]) -> None:
    for statistic in (PEAK, {**PEAK, "kind": "slope", "along": "model/parameters"}):
        assert find(statistic, [5, 5], peaked) == find(statistic, [5, 5], peaked[::-1])
