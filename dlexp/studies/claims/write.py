"""claims.json: the findings as strict JSON."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dlexp.studies.claims.definition import Finding


def claims_json(findings: Sequence[Finding]) -> str:
    """Return a list of objects with the keys of `Finding`, in its order; NaN and infinities become null.

    An open end of a region is thus null, as in the study file; `controls` are objects with `name` and
    `verdict`.
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
