"""The verdict on each claim: does the whole interval lie in the region, and may it be trusted."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from graphlib import TopologicalSorter
from typing import Any

from dlexp.results.claims import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    REFUSE,
    SUPPORTED,
    Claim,
    Finding,
    Region,
    Verdict,
)
from dlexp.results.replicates import NOTHING, Gathered, ReplicatesError, count_of, gather
from dlexp.results.statistic import Estimated, Replicates
from dlexp.results.table import Table


def judge(claims: Sequence[Claim], table: Table) -> tuple[Finding, ...]:
    """Return what the runs of a study say of each of its claims, in the order of the claims.

    - `supported`: the whole interval lies in the region, and so do those of all controls in theirs;
    - `not supported`: the whole interval lies outside the region. A control's failure does not mend that;
    - `inconclusive`: anything else, in particular evidence that is not complete, which decides nothing either
      way: fewer seeds than the claim needs, runs that failed, did not finish or ended without a finite value,
      diverged runs where the claim does not say how they count, or a statistic that is not defined.

    Whatever is wrong with the runs is told in a finding's reason, never raised.
    """
    by_name = {claim.name: claim for claim in claims}
    controls = {control for claim in claims for control in claim.controls}
    findings: dict[str, Finding] = {}
    for name in TopologicalSorter({claim.name: claim.controls for claim in claims}).static_order():
        verdicts = {control: findings[control].verdict for control in by_name[name].controls}
        findings[name] = _find(by_name[name], table, verdicts, name in controls)
    return tuple(findings[claim.name] for claim in claims)


def _find(claim: Claim, table: Table, controls: Mapping[str, Verdict], is_control: bool) -> Finding:
    gathered, problem = NOTHING, None
    try:
        gathered = gather(claim.statistic, table, claim.diverged)
    except ReplicatesError as error:
        problem = str(error)
    replicates = gathered.replicates
    found = claim.statistic.estimate(replicates)
    if replicates.n == 1 < claim.replicates:  # one seed does not tell how much seeds differ
        found = Estimated(found.estimate, math.nan, math.nan, found.values)
    problem = problem or _incomplete(claim, gathered) or _undefined(claim, replicates, found)
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
        n=replicates.n,
        replicates=claim.replicates,
        verdict=verdict,
        reason=reason,
        controls=tuple(controls.items()),
        is_control=is_control,
        scope=claim.scope,
        figure=claim.figure,
        values=found.values,
    )


def _incomplete(claim: Claim, gathered: Gathered) -> str | None:
    """Say what is missing of the evidence, if anything."""
    n, lost = gathered.replicates.n, gathered.lost
    diverged = f"{count_of(gathered.n_diverged, 'run')} diverged" if gathered.n_diverged else ""
    if n < claim.replicates:
        partial = f"{count_of(gathered.n_partial, 'seed')} not run in full" if gathered.n_partial else ""
        details = ", ".join(part for part in (lost, diverged, partial) if part)
        return f"Only {n} of {claim.replicates} seeds are finished{f' ({details})' if details else ''}."
    if lost:
        return f"Replicates are missing: {lost}."
    if diverged and claim.diverged == REFUSE:
        return f"{diverged}, and the claim does not say how they count."
    return None


def _undefined(claim: Claim, replicates: Replicates, found: Estimated) -> str | None:
    """Say why a statistic of complete replicates decides nothing, if so."""
    if math.isnan(found.estimate):
        seeds = [str(seed) for seed, value in found.values.items() if math.isnan(value)]
        place = f" for seed {', '.join(seeds)}" if seeds else ""
        return f"The statistic is not defined{place}: {claim.statistic.defined}."
    return claim.statistic.unreached(replicates, claim.region)


def _decide(region: Region, found: Estimated, controls: Mapping[str, Verdict]) -> tuple[Verdict, str]:
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


def claims_json(findings: Sequence[Finding]) -> str:
    """Return the text of ``claims.json``: objects with the keys of `Finding`; NaN and infinities become null.

    An open end of a region is thus null; `controls` are objects with `name` and `verdict`.
    """
    plain = [
        {
            **asdict(finding),
            "controls": [{"name": name, "verdict": verdict} for name, verdict in finding.controls],
        }
        for finding in findings
    ]
    return json.dumps(_without_infinities(plain), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _without_infinities(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_infinities(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinities(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
