"""claims.json is strict JSON."""

import json
import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from dlexp.studies.claims import Finding, claims_json, judge, parse_claims
from dlexp.studies.runs import Run

STATISTIC = {"kind": "value", "of": {"metric": "test/loss"}}


def refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def test_claims_json(plain: Callable[..., dict[str, Any]], run: Callable[..., Run]) -> None:
    claims = parse_claims(
        [
            plain(STATISTIC, [0, None], name="found", text="Größer als 0.", controls=["lost"]),
            plain({"kind": "value", "of": {"metric": "none"}}, [None, 1], name="lost"),
        ]
    )
    findings = judge(claims, [run(seed, {"test/loss": 1.0 + seed}) for seed in range(5)])
    text = claims_json(findings)
    first, second = json.loads(text, parse_constant=refuse)
    assert list(first) == [field.name for field in fields(Finding)]
    assert first["region"] == [0, None]
    assert first["estimate"] == 3
    assert first["values"] == {"0": 1, "1": 2, "2": 3, "3": 4, "4": 5}
    assert first["controls"] == [{"name": "lost", "verdict": "inconclusive"}]
    assert second["estimate"] is None
    assert math.isnan(findings[1].estimate)
    assert "Größer" in text
    assert claims_json(findings) == text
