"""Whatever numbers runs end with, tables, verdicts, figures and report are made, and nothing warns."""

import io
import itertools
import json
import math
import zipfile
from pathlib import Path

import pandas
import pytest
from rich.console import Console

from dlexp.records.run import parse_result, write_arrays
from dlexp.report.results import Results, rebuild
from dlexp.report.tables import csv_text

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
STUDIES = sorted(path.parent.name for path in GOLDEN.glob("*/sweep.zip"))
QUICK = ("loss_landscape",)
EXTREMES = (1e308, math.inf, -1e308, 1.0, math.nan, 1.7e308, 5e-324, -math.inf, 0.0)


def check(results: Results) -> None:
    results.print(Console(file=io.StringIO(), width=80))
    page = (results.folder / "report.html").read_text(encoding="utf-8")
    assert "cannot be drawn" not in page
    assert len(pandas.read_csv(results.folder / "summary.csv")) == len(results.table.summary.settings)
    assert not [finding for finding in results.findings if math.isnan(finding.n)]


@pytest.mark.parametrize("values", [[1e308], [5e-324], EXTREMES], ids=str)
def test_a_sweep_that_ended_anywhere_has_its_report(tmp_path, write_run, values):
    following = itertools.cycle(values)
    for width, seed in itertools.product((1, 5, 50), range(3)):
        folder = write_run(tmp_path, {"model.width": width}, {}, seed=seed)
        run = parse_result(folder)
        run.metrics = {"test/loss": next(following), "train/loss": next(following), "model/parameters": width}
        run.write(folder)
    check(rebuild(tmp_path))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in STUDIES]
)
def test_a_study_that_ended_anywhere_has_its_report(tmp_path, name):
    with zipfile.ZipFile(GOLDEN / name / "sweep.zip") as archive:
        archive.extractall(tmp_path)
    following = itertools.cycle(EXTREMES)
    for folder in sorted(path.parent for path in tmp_path.glob("*/result.json")):
        run = parse_result(folder)
        run.metrics = {metric: next(following) for metric in run.metrics}
        arrays = {name: array.astype(float) for name, array in run.arrays().items()}
        for name, array in arrays.items():
            if not name.endswith(("positions", "coordinates", "layers", "dimensions")):
                array.ravel()[::2] = [next(following) for _ in array.ravel()[::2]]
        if arrays:
            write_arrays(folder, arrays)
        rows = [(step, epoch, metric, next(following)) for step, epoch, metric, _ in run.rows()]
        text = "".join(f"{step},{epoch},{metric},{value}\n" for step, epoch, metric, value in rows)
        (folder / "metrics.csv").write_text(f"step,epoch,name,value\n{text}")
        run.write(folder)
    results = rebuild(tmp_path)
    check(results)
    claims = json.loads((tmp_path / "claims.json").read_text())
    assert [claim["name"] for claim in claims] == [finding.name for finding in results.findings]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1+1", "'+1+1"),
        ("-a", "'-a"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\r=1", '"\'\n=1"'),
        ("\t1", "'\t1"),
        ("-1.5", "-1.5"),
        ("+3e-4", "+3e-4"),
        (-1.5, "-1.5"),
        (-math.inf, "-inf"),
        ("a=1", "a=1"),
    ],
)
def test_no_spreadsheet_runs_a_cell(value, cell):
    assert csv_text([{"x": value}]) == f"x\n{cell}\n"
    if isinstance(value, str):
        assert csv_text([{value: 1}]) == f"{cell}\n1\n"
