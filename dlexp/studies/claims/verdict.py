"""The verdict on each claim: does the whole interval lie in the region, and may it be trusted."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from dlexp.records.run import Run
from dlexp.studies.claims.definition import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    REFUSE,
    SUPPORTED,
    Claim,
    Finding,
    Verdict,
)
from dlexp.studies.claims.replicates import Replicates, ReplicatesError, count_of, gather
from dlexp.studies.claims.statistics import Estimated, Table, evaluate

_NOTHING = Replicates(Table((), np.zeros((0, 0)), np.zeros((0, 0))), 0, 0, 0, 0, 0)


def judge(claims: Sequence[Claim], runs: Sequence[Run]) -> tuple[Finding, ...]:
    """Return what the runs of a study say of each of its claims, in the order of the claims.

    - `supported`: the whole interval lies in the region, and so do those of all controls in theirs;
    - `not supported`: the whole interval lies outside the region. A control's failure does not mend that;
    - `inconclusive`: anything else, in particular evidence that is not complete, which decides nothing either
      way: fewer seeds than the claim needs, runs that failed, did not finish or gave no finite value,
      diverged runs where the claim does not say how they count, or a statistic that is not defined.

    Whatever is wrong with the runs is told in a finding's reason, never raised.
    """
    by_name = {claim.name: claim for claim in claims}
    controls = {control for claim in claims for control in claim.controls}
    findings: dict[str, Finding] = {}

    def find(claim: Claim) -> Finding:
        if claim.name not in findings:
            verdicts = {name: find(by_name[name]).verdict for name in claim.controls}
            findings[claim.name] = _find(claim, runs, verdicts, claim.name in controls)
        return findings[claim.name]

    return tuple(find(claim) for claim in claims)


def _find(claim: Claim, runs: Sequence[Run], controls: Mapping[str, Verdict], is_control: bool) -> Finding:
    replicates, problem = _NOTHING, None
    try:
        replicates = gather(claim, runs)
    except ReplicatesError as error:
        problem = str(error)
    table = replicates.table
    found = evaluate(claim.statistic.kind, table)
    if len(table.seeds) == 1 < claim.replicates:  # one seed does not tell how much seeds differ
        found = Estimated(found.estimate, math.nan, math.nan, found.values)
    problem = problem or _incomplete(claim, replicates) or _undefined(claim, table, found)
    verdict, reason = (INCONCLUSIVE, problem) if problem else _decide(claim.region, found, controls)
    return Finding(
        name=claim.name,
        text=claim.text,
        source=claim.source,
        statistic=str(claim.statistic),
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        region=claim.region,
        n=len(table.seeds),
        replicates=claim.replicates,
        verdict=verdict,
        reason=reason,
        controls=tuple(controls.items()),
        is_control=is_control,
        scope=claim.scope,
        figure=claim.figure,
        values=found.values,
    )


def _incomplete(claim: Claim, replicates: Replicates) -> str | None:
    """Say what is missing of the evidence, if anything."""
    n, lost = len(replicates.table.seeds), replicates.lost
    diverged = f"{count_of(replicates.n_diverged, 'run')} diverged" if replicates.n_diverged else ""
    if n < claim.replicates:
        partial = f"{count_of(replicates.n_partial, 'seed')} not run in full" if replicates.n_partial else ""
        details = ", ".join(part for part in (lost, diverged, partial) if part)
        return f"Only {n} of {claim.replicates} seeds are finished{f' ({details})' if details else ''}."
    if lost:
        return f"Replicates are missing: {lost}."
    if diverged and claim.diverged == REFUSE:
        return f"{diverged}, and the claim does not say how they count."
    return None


def _undefined(claim: Claim, table: Table, found: Estimated) -> str | None:
    """Say why a statistic of complete replicates decides nothing, if so."""
    if math.isnan(found.estimate):
        seeds = [str(seed) for seed, value in found.values.items() if math.isnan(value)]
        place = f" for seed {', '.join(seeds)}" if seeds else ""
        return f"The statistic is not defined{place}: {_DEFINED[claim.statistic.kind]}."
    if claim.statistic.kind == "peak":
        low, high = claim.region
        with np.errstate(over="ignore"):
            positions = table.positions.mean(axis=0)
        if not ((low <= positions) & (positions <= high)).any():
            return "No point of the curve lies in the region."
    return None


_DEFINED = {
    "value": "the values are too large, or infinite with both signs",
    "difference": "the values are too large, or infinite on both sides",
    "ratio": "all values must be positive, and not infinite on both sides",
    "slope": "all values and positions must be positive and finite, and the positions must differ",
    "peak": "the mean curve has no single maximum",
    "peak_ratio": "the mean curve must be positive at its maximum and at its end, and finite at one of them",
    "rank_correlation": "all values are tied, or all positions",
}


def _decide(
    region: tuple[float, float], found: Estimated, controls: Mapping[str, Verdict]
) -> tuple[Verdict, str]:
    low, high = region
    interval = f"[{found.low:.4g}, {found.high:.4g}]"
    if found.high < low or found.low > high:
        return NOT_SUPPORTED, f"The whole interval {interval} lies outside the region."
    if not (low <= found.low and found.high <= high):
        return INCONCLUSIVE, f"The interval {interval} lies in the region only in part."
    for name, verdict in controls.items():
        if verdict != SUPPORTED:
            return INCONCLUSIVE, f"Its control {name} is {verdict}."
    return SUPPORTED, f"The whole interval {interval} lies in the region."
