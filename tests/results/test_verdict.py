"""From runs to findings: pairing, controls, and everything that may be missing."""

import copy
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import pytest

from dlexp.records.run import DIVERGED, FAILED, UNFINISHED, UNREADABLE, Run
from dlexp.results.claims import Finding, at_least, at_most, between, exactly
from dlexp.results.statistics import difference, peak, ratio, slope, value
from dlexp.results.table import Table
from dlexp.results.verdict import claims_json, judge

VALUE = value("test/loss")
WIDTHS = (1, 2, 5, 50)
PEAK = peak("test/loss", along="model.width")


def loss(**where: Any) -> value:
    return value("test/loss", {key.replace("__", "."): wanted for key, wanted in where.items()})


def changed(run: Run, **settings: Any) -> Run:
    """Return a run with other settings; a double underscore stands for the dot of a key."""
    config = copy.deepcopy(run.config)
    for key, wanted in settings.items():
        *parents, leaf = key.split("__")
        node = config
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = wanted
    return replace(run, config=config)


@pytest.fixture
def five(run):
    """Five seeds of one setting, with a loss near 1."""
    return [run(seed, {"test/loss": 1 + 0.01 * seed}) for seed in range(5)]


@pytest.fixture
def peaked(curve):
    return curve([[0.3, 0.5, 1.5 + 0.1 * seed, 0.4] for seed in range(5)], WIDTHS)


def test_a_finding_holds_what_there_is_to_say(find, five):
    found = find(VALUE, between(0.9, 1.1), five, figure="losses")
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
        (at_most(1.1), "supported", "lies in the region"),
        (at_least(1.1), "not supported", "lies outside the region"),
        (at_least(1.02), "inconclusive", "lies in the region only in part"),
        (between(1.01, 1.03), "inconclusive", "lies in the region only in part"),
    ],
)
def test_region(find, five, region, verdict, reason):
    found = find(VALUE, region, five)
    assert found.verdict == verdict
    assert reason in found.reason


def test_seeds_are_paired(find, run):
    """Seeds differ by 10, settings by .5 in each: unpaired, the interval would hold 0."""
    runs = [
        run(seed, {"test/loss": 10.0 * seed + 0.5 * (width == 2) + 0.01 * seed**2}, model__width=width)
        for seed in range(5)
        for width in (1, 2)
    ]
    statistic = difference(of=loss(model__width=2), minus=loss(model__width=1))
    assert find(statistic, between(0.4, 0.6), runs).verdict == "supported"
    shuffled = [
        changed(replace(each, seed=(each.seed + 2) % 5), seed=(each.seed + 2) % 5)
        if each.settings["model.width"] == 2
        else each
        for each in runs
    ]
    found = find(statistic, between(0.4, 0.6), shuffled)
    assert found.verdict == "inconclusive"
    assert found.estimate == pytest.approx(0.5)


def test_whole_rows_of_a_curve_are_resampled(find, curve):
    """Each seed has a scale of its own; resampling points apart would move the peak."""
    rows = [[scale * value for value in (1.0, 1.5, 1.6, 1.2)] for scale in (1, 3, 10, 30, 100)]
    assert find(PEAK, exactly(5), curve(rows, WIDTHS)).verdict == "supported"


def test_curve_along_a_metric(find, curve):
    rows = [[(1 + 0.01 * seed) / (22 * width) for width in WIDTHS] for seed in range(5)]
    statistic = slope("test/loss", along="model/parameters")
    found = find(statistic, between(-1.01, -0.99), curve(rows, WIDTHS))
    assert found.verdict == "supported"
    assert found.estimate == pytest.approx(-1)


def test_where_selects_runs(find, curve):
    noisy = curve([[0.3, 0.5, 1.5, 0.4]] * 5, WIDTHS, arm="noisy", data__noise=0.5)
    clean = curve([[0.3, 0.2, 0.1, 0.05]] * 5, WIDTHS, arm="clean", data__noise=0)
    for where, place in (
        ({"arm": "noisy"}, 5),
        ({"data.noise": 0.0}, 1),
        ({"model.width": [1, 2, 50], "arm": "noisy"}, 2),
    ):
        found = find(peak("test/loss", along="model.width", where=where), exactly(place), noisy + clean)
        assert (found.estimate, found.verdict) == (place, "supported")


@pytest.mark.parametrize(
    ("statistic", "reason"),
    [
        (value("test/los", {"arm": "noisy"}), "No run has the metric test/los; the nearest is test/loss."),
        (value("test/loss", {"arms": "noisy"}), "No job has the setting arms; the nearest is arm."),
        (value("test/loss", {"arm": "nosy"}), "No job has arm=nosy; there are jobs with clean, noisy."),
        (value("test/loss", {"arm": ["noisy", "x"]}), "No job has arm=x; there are jobs with clean, noisy."),
        (
            value("test/loss", {"data.noise": False}),
            "No job has data.noise=false; there are jobs with 0, 0.5.",
        ),
        (
            value("test/loss", {"arm": "noisy", "data.noise": 0}),
            "There are no runs for test/loss [arm=noisy, data.noise=0].",
        ),
        (
            slope("test/loss", along="model.widht"),
            "No run has the setting or metric model.widht; the nearest is model.width.",
        ),
    ],
)
def test_what_no_job_has_is_said(find, curve, statistic, reason):
    runs = [
        *curve([[1, 2, 3, 4]] * 5, WIDTHS, arm="noisy", data__noise=0.5),
        *curve([[1, 2, 3, 4]] * 5, WIDTHS, arm="clean", data__noise=0),
    ]
    found = find(statistic, between(0, 1), runs)
    assert (found.verdict, found.reason) == ("inconclusive", reason)


def test_a_sweep_that_has_not_begun_is_checked_by_its_settings(curve):
    planned = Table(tuple(replace(each, status=UNFINISHED, metrics={}) for each in curve([[0] * 4], WIDTHS)))
    statistic = ratio(of=loss(model__width=5), to=loss(model__width=7))
    assert [*statistic.problems(planned)] == ["No job has model.width=7; there are jobs with 1, 2, 5, 50."]
    assert [*value("not/known_yet").problems(planned)] == []


def test_null_matches_what_is_not_set(find, five):
    assert find(loss(arm=None), between(0, 2), five).verdict == "supported"


def test_equality_to_a_closed_form(find, run):
    runs = [run(seed, {"test/loss": 1.0 + seed, "risk/exact": 1.0 + seed}) for seed in range(5)]
    statistic = ratio(of=VALUE, to=value("risk/exact"))
    found = find(statistic, exactly(1), runs)
    assert (found.low, found.estimate, found.high, found.verdict) == (1, 1, 1, "supported")
    constant = find(difference(of=VALUE, minus=3), between(-2, 2), runs)
    assert constant.estimate == pytest.approx(0)


def test_several_runs_of_a_seed(find, run):
    runs = [run(seed, {"test/loss": 1.0}, optimizer__lr=lr) for seed in range(5) for lr in (0.1, 0.2)]
    found = find(VALUE, between(0, 2), runs)
    assert found.verdict == "inconclusive"
    assert found.reason == "Several runs of seed 0 match test/loss: they differ in optimizer.lr."
    assert find(VALUE, between(0, 2), runs[::-1]) == found
    same = [changed(each, optimizer__lr=0.1) for each in runs]
    assert find(VALUE, between(0, 2), same).reason.endswith(
        "they differ in nothing that affects their results."
    )


def test_settings_that_were_narrowed_away(find, peaked):
    def narrowed(*widths: int) -> list[Run]:
        return [each for each in peaked if each.settings["model.width"] in widths]

    def reason(statistic: Mapping[str, Any], runs: list[Run]) -> str:
        found = find(statistic, exactly(5), runs)
        assert found.verdict == "inconclusive"
        return found.reason

    assert reason(PEAK, narrowed(2, 5)) == "The curve has 2 points, and its peak needs 3."
    assert reason(PEAK, narrowed(1, 2, 50)) == "No point of the curve lies in the region."
    listed = peak("test/loss", along="model.width", where={"model.width": [1, 2, 5, 50]})
    assert reason(listed, narrowed(1, 2, 5)) == "There are no runs with model.width=50."
    gone = ratio(of=loss(model__width=5), to=loss(model__width=50))
    assert reason(gone, narrowed(1, 2, 5)) == "No job has model.width=50; there are jobs with 1, 2, 5."
    assert reason(PEAK, []) == "There are no runs for test/loss."
    along = peak("test/loss", along="optimizer.name")
    assert reason(along, peaked) == "optimizer.name is not a number in all runs."


def test_too_few_seeds(find, five):
    found = find(VALUE, between(0, 2), five[:3])
    assert (found.verdict, found.n, found.reason) == ("inconclusive", 3, "Only 3 of 5 seeds are finished.")
    assert found.low < found.estimate < found.high
    assert (
        find(VALUE, between(5, 6), five[:3]).verdict == "inconclusive"
    )  # outside decides no more than inside
    one = find(VALUE, between(0, 2), five[:1])
    assert one.estimate == 1
    assert math.isnan(one.low)
    assert find(VALUE, between(0, 2), five[:3], replicates=3).verdict == "supported"


def test_a_deterministic_study_has_a_point(find, five):
    found = find(VALUE, exactly(1), five[:1], replicates=1)
    assert (found.low, found.high, found.verdict) == (1, 1, "supported")


@pytest.mark.parametrize(
    ("status", "metrics", "what"),
    [
        (FAILED, {}, "1 run failed"),
        (UNFINISHED, {}, "1 run did not finish"),
        (UNREADABLE, {}, "1 run did not finish"),
        ("done", {"test/loss": math.nan}, "test/loss is undefined in 1 run"),
        ("done", {"test/loss": math.inf}, "test/loss ended at infinity in 1 run"),
        ("done", {"test/loss": -math.inf}, "test/loss ended at -infinity in 1 run"),
        ("done", {}, "test/loss is undefined in 1 run"),
    ],
)
def test_missing_replicates(find, run, five, status, metrics, what):
    lost = run(5, metrics, status=status)
    for region in (between(0, 2), between(5, 6)):
        found = find(VALUE, region, [*five, lost])
        assert (found.verdict, found.n) == ("inconclusive", 5)
        assert found.reason == f"Replicates are missing: {what}."
    assert find(VALUE, between(0, 2), [*five[:4], lost]).reason == f"Only 4 of 5 seeds are finished ({what})."
    elsewhere = run(5, metrics, status=status, arm="other")
    assert find(loss(arm=None), between(0, 2), [*five, elsewhere]).verdict == "supported"


def test_what_an_unfinished_run_does_not_tell_counts_against(find, run, five):
    runs = [changed(each, model__width=5) for each in five]
    statistic = loss(model__width=5)
    unknown = run(5, {}, status=UNFINISHED)
    assert find(statistic, between(0, 2), [*runs, unknown]).verdict == "inconclusive"
    nothing_known = replace(unknown, config={})
    other = run(5, {}, status=UNFINISHED, model__width=6)
    assert find(statistic, between(0, 2), [*runs, nothing_known, other]).verdict == "supported"


def test_a_seed_with_a_point_missing_is_not_used(find, peaked):
    found = find(PEAK, exactly(5), peaked[:-1])
    assert (found.n, found.verdict) == (4, "inconclusive")
    assert found.reason == "Only 4 of 5 seeds are finished (1 seed not run in full)."
    assert find(PEAK, exactly(5), peaked[:-1], replicates=4).verdict == "supported"


def test_diverged_runs_count_as_the_claim_says(find, run, five):
    runs = [*five, run(5, {"test/loss": 1.0}, status=DIVERGED)]
    refused = find(VALUE, between(0, 2), runs)
    assert (refused.verdict, refused.n) == ("inconclusive", 5)
    assert refused.reason == "1 run diverged, and the claim does not say how they count."
    left_out = find(VALUE, between(0, 2), runs, diverged="leave_out")
    assert (left_out.verdict, left_out.n) == ("supported", 5)
    few = find(VALUE, between(0, 2), runs[1:], diverged="leave_out")
    assert few.reason == "Only 4 of 5 seeds are finished (1 run diverged)."
    counted = find(VALUE, between(0, 2), runs, diverged=7)
    assert (counted.values[5], counted.verdict, counted.n) == (7, "inconclusive", 6)
    infinite = find(VALUE, between(0, 2), runs, diverged=math.inf)
    assert (infinite.estimate, infinite.high, infinite.verdict) == (math.inf, math.inf, "inconclusive")
    all_diverged = [replace(each, status=DIVERGED) for each in runs]
    assert find(VALUE, at_least(100), all_diverged, diverged=math.inf).verdict == "supported"
    assert (
        find(VALUE, at_least(100), all_diverged).reason == "Only 0 of 5 seeds are finished (6 runs diverged)."
    )


def test_a_diverged_run_without_a_position_is_missing(find, curve):
    *runs, last = curve([[1 / width for width in WIDTHS]] * 6, WIDTHS)
    runs.append(replace(last, status=DIVERGED, metrics={"model/parameters": math.nan}))
    statistic = slope("test/loss", along="model/parameters")
    found = find(statistic, between(-2, 0), runs, diverged=1)
    assert (found.n, found.reason) == (5, "Replicates are missing: model/parameters is undefined in 1 run.")


def test_statistics_that_are_not_defined(find, curve):
    runs = curve([[1, 2, 3, 4]] * 4 + [[1, 0, 3, 4]], WIDTHS)
    found = find(slope("test/loss", along="model.width"), between(0, 9), runs)
    assert found.verdict == "inconclusive"
    assert found.reason == (
        "The statistic is not defined for seed 4: all values and positions must be positive and finite, "
        "and the positions must differ."
    )
    flat = find(PEAK, between(1, 50), curve([[1, 1, 1, 1]] * 5, WIDTHS))
    assert flat.reason == "The statistic is not defined: the mean curve has no single maximum."


def test_controls(claim, five):
    claims = [
        claim(VALUE, between(0, 2), name="claim", controls=["behaves", "fails"]),
        claim(VALUE, between(0, 2), name="behaves"),
        claim(VALUE, between(5, 6), name="fails"),
        claim(VALUE, between(0, 2), name="second", controls=["claim"]),
        claim(VALUE, between(5, 6), name="false_anyway", controls=["fails"]),
        claim(VALUE, between(0, 2), name="good", controls=["behaves"]),
    ]
    found = {finding.name: finding for finding in judge(claims, Table(tuple(five)))}
    assert list(found) == [claim.name for claim in claims]
    assert found["claim"].verdict == "inconclusive"
    assert found["claim"].reason == "Its control fails is not supported."
    assert found["claim"].controls == (("behaves", "supported"), ("fails", "not supported"))
    assert found["second"].reason == "Its control claim is inconclusive."
    assert found["false_anyway"].verdict == "not supported"
    assert found["good"].verdict == "supported"
    assert [finding.name for finding in found.values() if finding.is_control] == ["claim", "behaves", "fails"]


def crossed_runs(run: Callable[..., Run], effect: Callable[[int, int], float], n: int = 5) -> list[Run]:
    """Return the runs of a grid of data and model seeds."""
    return [
        run(0, {"test/loss": effect(data, model)}, data__seed=data, model__seed=model)
        for data in range(n)
        for model in range(n)
    ]


def test_crossed_seeds_are_no_independent_replicates(find, run):
    """Where the data alone decide, five data sets say as much as five runs, however often each is trained."""
    losses = (1.0, 1.4, 0.8, 1.1, 1.3)
    five = find(VALUE, between(0, 9), [run(seed, {"test/loss": loss}) for seed, loss in enumerate(losses)])
    found = find(VALUE, between(0, 9), crossed_runs(run, lambda data, model: losses[data]))
    assert (found.verdict, found.n, found.estimate) == ("supported", 5, pytest.approx(five.estimate))
    assert (found.low, found.high) == pytest.approx((five.low, five.high), rel=0.05)
    assert found.values["data.seed=1, model.seed=4"] == 1.4
    assert len(found.values) == 25
    few = find(VALUE, between(0, 9), crossed_runs(run, lambda data, model: losses[data], 4))
    assert few.reason == "Only 4 of 5 seeds are finished."


def test_crossed_seeds_with_a_combination_missing_are_refused(find, run):
    runs = crossed_runs(run, lambda data, model: 1.0 + data + model)
    reason = find(VALUE, between(0, 99), runs[:-1]).reason
    assert reason == "data.seed and model.seed are crossed, and not every combination of them has a value."
    lost = find(VALUE, between(0, 99), [*runs[:-1], replace(runs[-1], status=FAILED)])
    assert lost.verdict == "inconclusive"


def test_seeds_of_arms_that_fix_one_of_them_stay_paired(find, run):
    """One arm has data of its own at each seed, the other always the same: `seed` pairs both."""
    runs = [
        run(seed, {"test/loss": 2.0**seed * factor}, arm=arm, **fixed)
        for seed in range(5)
        for arm, factor, fixed in (("free", 3.0, {}), ("fixed", 1.0, {"data__seed": 0}))
    ]
    found = find(ratio(of=loss(arm="free"), to=loss(arm="fixed")), exactly(3), runs)
    assert (found.n, found.estimate, found.low) == (5, pytest.approx(3), pytest.approx(3))


def test_claims_json_is_strict(claim, five):
    claims = [
        claim(VALUE, at_least(0), name="found", text="Größer als 0.", controls=["lost"]),
        claim(value("none"), at_most(1), name="lost"),
    ]
    findings = judge(claims, Table(tuple(five)))
    text = claims_json(findings)
    first, second = json.loads(text, parse_constant=lambda constant: 1 / 0)
    assert list(first) == [field.name for field in fields(Finding)]
    assert first["region"] == [0, None]
    assert first["values"] == {str(seed): 1 + 0.01 * seed for seed in range(5)}
    assert first["controls"] == [{"name": "lost", "verdict": "inconclusive"}]
    assert second["estimate"] is None
    assert "Größer" in text
