"""Claims from plain data: what ``study.json`` keeps of them, that of dlexp 0.1 too."""

import math
from collections.abc import Mapping
from typing import Any

from dlexp.results.claims import Claim
from dlexp.results.statistic import ClaimError, Statistic
from dlexp.results.statistics import KINDS, Value
from dlexp.results.summary import is_number

_SIDES = ("of", "minus", "to")


def read_claims(plain: Any) -> tuple[Claim, ...]:
    """Return the claims of a list of mappings; those that cannot be read are left out, their controls too.

    A statistic of a study's own class says nothing without its code: such a claim cannot be read.
    """
    claims = []
    for entry in plain if isinstance(plain, list) else []:
        try:
            claims.append(_claim(entry))
        except (KeyError, TypeError, ValueError):
            continue
    names = {claim.name for claim in claims}
    return tuple(claim for claim in claims if names.issuperset(claim.controls))


def _claim(plain: Mapping[str, Any]) -> Claim:
    low, high = plain["region"]
    diverged = plain.get("diverged", "refuse")
    known = {key: plain[key] for key in ("name", "text", "scope", "figure", "replicates") if key in plain}
    return Claim(
        **known,
        source=plain.get("source") or "",
        statistic=_statistic(plain["statistic"]),
        region=(-math.inf if low is None else float(low), math.inf if high is None else float(high)),
        controls=tuple(plain.get("controls") or ()),
        diverged=float(diverged) if is_number(diverged) else diverged,
    )


def _statistic(plain: Mapping[str, Any]) -> Statistic:
    kind = KINDS.get(plain["kind"])
    if kind is None:
        raise ClaimError(f"kind={plain['kind']!r} is not allowed: it must be one of {', '.join(KINDS)}.")
    fields = {key: value for key, value in plain.items() if key != "kind"}
    if kind is Value:
        return Value(fields["of"]["metric"], fields["of"].get("where") or {})
    if "along" in fields:
        fields["where"] = fields.get("where") or {}
    made: Statistic = kind(**{key: _side(value) if key in _SIDES else value for key, value in fields.items()})
    return made


def _side(plain: Any) -> Any:
    return Value(plain["metric"], plain.get("where") or {}) if isinstance(plain, Mapping) else plain
