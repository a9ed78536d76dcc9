"""What is written of a run is read back; results of other versions are read where they mean the same."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlexp.records.folders import read_run
from dlexp.records.run import DIVERGED, DONE, FAILED, Run, read_result, write_arrays, write_metrics

TEXTS = st.text(max_size=8)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
CONFIGS = st.dictionaries(
    TEXTS, LEAVES | st.dictionaries(TEXTS, LEAVES | st.lists(LEAVES, max_size=2)), max_size=3
)
METRICS = st.dictionaries(TEXTS, st.floats(), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(status=st.sampled_from([DONE, DIVERGED, FAILED]), config=CONFIGS, metrics=METRICS, seed=st.integers())
def test_what_is_written_is_read_back(
    tmp_path: Path, status: str, config: dict[str, Any], metrics: dict[str, float], seed: int
) -> None:
    run = Run(
        status, tmp_path.name, "a" * 64, seed, config, ["x=1"], metrics, versions={"torch": "2"}, clean=True
    )
    run.write(tmp_path)
    text = (tmp_path / "result.json").read_text()
    json.loads(text, parse_constant=lambda constant: 1 / 0)
    found = read_result(tmp_path)
    assert found is not None
    assert set(found.metrics) == set(metrics)
    for name, value in metrics.items():
        assert found.metrics[name] == value or (math.isnan(value) and math.isnan(found.metrics[name]))
    found.written, found.metrics = run.written, run.metrics
    assert found == run


def test_a_final_value_that_is_not_finite_is_null_beside_its_reason(tmp_path: Path) -> None:
    metrics = {"a": math.inf, "b": -math.inf, "c": math.nan, "d": 1.0}
    Run(DONE, "run", metrics=metrics).write(tmp_path)
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["schema"] == 2
    assert stored["metrics"] == {"a": None, "b": None, "c": None, "d": 1.0}
    assert stored["not_finite"] == {"a": "inf", "b": "-inf", "c": "nan"}
    found = read_result(tmp_path)
    assert found is not None
    assert (found.metrics["a"], found.metrics["b"], found.metrics["d"]) == (math.inf, -math.inf, 1.0)
    assert math.isnan(found.metrics["c"])


def test_a_result_of_version_0_1_is_read(tmp_path: Path) -> None:
    old = {
        "status": "done",
        "run_id": "x",
        "identity": "b" * 64,
        "seed": 3,
        "config": {"model": {"width": 5}},
        "overrides": ["model.width=5"],
        "metrics": {"test/loss": 0.5, "ntk/condition": None},
        "error": None,
        "duration_s": 1.5,
        "versions": {"torch": "2.13.0"},
        "device": "cpu",
    }
    (tmp_path / "result.json").write_text(json.dumps(old))
    run = read_run(tmp_path)
    assert (run.status, run.seed, run.identity, run.duration_s) == ("done", 3, "b" * 64, 1.5)
    assert run.settings == {"model.width": 5}
    assert run.metrics["test/loss"] == 0.5
    assert math.isnan(run.metrics["ntk/condition"])
    assert (run.commit, run.clean) == (None, None)


def test_keys_of_another_version_are_kept_and_another_schema_is_refused(tmp_path: Path) -> None:
    Run(DONE, "x", extra={"host": "node7"}).write(tmp_path)
    found = read_result(tmp_path)
    assert found is not None
    assert found.extra == {"host": "node7"}
    later = {**json.loads((tmp_path / "result.json").read_text()), "schema": 3}
    (tmp_path / "result.json").write_text(json.dumps(later))
    assert read_result(tmp_path) is None
    run = read_run(tmp_path)
    assert run.status == "unreadable"
    assert run.error == "result.json cannot be read: schema is 3; this version of dlexp reads up to 2"


def test_metrics_and_arrays_are_read_back(tmp_path: Path) -> None:
    rows = [(0, 0, "a,b", 0.1), (7, 1, "c", math.inf), (7, 1, "d", 1e-300)]
    write_metrics(tmp_path, rows)
    write_arrays(tmp_path, {"spectrum": np.array([[1.5, math.nan]]), "index": np.arange(3)})
    run = Run(DONE, "x", folder=tmp_path)
    assert run.rows() == rows
    arrays = run.arrays()
    assert np.array_equal(arrays["spectrum"], [[1.5, math.nan]], equal_nan=True)
    assert arrays["index"].tolist() == [0, 1, 2]
    (tmp_path / "metrics.csv").write_text("step,epoch,name,value\n1,2\n")
    with pytest.raises(ValueError, match="not enough values"):
        run.rows()
    assert Run(DONE, "y", folder=tmp_path / "nowhere").rows() == []
