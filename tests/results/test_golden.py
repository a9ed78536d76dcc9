"""From stored runs the same tables, claims and figures follow as when they were stored."""

import importlib.util
import json
import math
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
STORED = sorted(path.parent for path in GOLDEN.glob("*/sweep.zip"))
TOLERANCE = 1e-6  # figures are stored to seven digits; sums may be taken in another order elsewhere


def load_make() -> ModuleType:
    """Return the script that stores golden sweeps, which says what follows from one."""
    spec = importlib.util.spec_from_file_location("dlexp_golden", GOLDEN / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def differences(found: Any, expected: Any, place: str = "") -> list[str]:
    """Return where plain data differ, numbers (also those in texts) by more than the tolerance."""
    if isinstance(expected, dict) and isinstance(found, dict) and list(found) == list(expected):
        return [d for key in expected for d in differences(found[key], expected[key], f"{place}/{key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        return [d for i, (one, other) in pairs for d in differences(one, other, f"{place}/{i}")]
    if found == expected or is_close(found, expected):
        return []
    return [f"{place}: {found!r} instead of {expected!r}"]


def is_close(found: Any, expected: Any) -> bool:
    try:
        one, other = float(found), float(expected)
    except (TypeError, ValueError):
        return False
    return math.isclose(one, other, rel_tol=TOLERANCE) or (math.isnan(one) and math.isnan(other))


@pytest.mark.parametrize("stored", STORED, ids=lambda path: path.name)
def test_the_same_results_follow_from_stored_runs(stored, tmp_path):
    sweep = tmp_path / stored.name
    with zipfile.ZipFile(stored / "sweep.zip") as archive:
        archive.extractall(sweep)
    expected = json.loads((stored / "expected.json").read_text(encoding="utf-8"))
    found = json.loads(json.dumps(load_make().follows(sweep)))
    assert differences(found, expected) == []


@pytest.mark.parametrize(
    ("found", "expected", "is_same"),
    [
        ({"a": [1.0, "0.1"]}, {"a": [1.0 + 1e-12, "0.1000000000000001"]}, True),
        ({"a": [1.0]}, {"a": [1.0 + 1e-5]}, False),
        ({"a": "supported"}, {"a": "not supported"}, False),
        ([1], [1, 2], False),
        ({"a": 1}, {"b": 1}, False),
        (None, math.nan, False),
        (math.nan, math.nan, True),
    ],
)
def test_what_counts_as_the_same(found, expected, is_same):
    assert (differences(found, expected) == []) == is_same
