"""Every study in its fast form, from the command to the report; and what its two files say."""

import ast
import html
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dlexp.results.kept import PACKAGE
from dlexp.results.study import Study, study_of

REPOSITORY = Path(__file__).resolve().parents[2]
STUDIES = sorted((REPOSITORY / "conf" / "study").glob("*.yaml"))


def definition(name: str) -> Study:
    """Return what a study's Python says."""
    return study_of(importlib.import_module(f"{PACKAGE}.{name}"), name, f"{PACKAGE}.{name}")


QUICK = ("implicit_bias",)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[] if path.stem in QUICK else pytest.mark.slow)
        for path in STUDIES
    ],
)
def test_a_quick_look_goes_the_whole_way(path, tmp_path):
    command = ["scripts/train.py", f"study={path.stem}", "debug=fast", f"hydra.sweep.dir={tmp_path}"]
    done = subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Warning" not in done.stderr
    assert "Traceback" not in done.stderr

    study = definition(path.stem)
    runs = [json.loads(result.read_text()) for result in tmp_path.glob("*/result.json")]
    assert {run["status"] for run in runs} <= {"done", "diverged"}
    assert {run["config"]["arm"] for run in runs} == set(yaml.safe_load(path.read_text())["study"]["arms"])

    findings = json.loads((tmp_path / "claims.json").read_text())
    assert [finding["name"] for finding in findings] == [claim.name for claim in study.claims]
    drawn = {figure.stem for figure in (tmp_path / "figures").glob("*.png")}
    assert drawn == {figure.name for figure in study.figures}
    report = html.unescape((tmp_path / "report.html").read_text())
    assert study.question in report
    assert "cannot be drawn" not in report
    assert (tmp_path / path.name).read_text() == path.read_text()
    kept = json.loads((tmp_path / "study.json").read_text())
    assert kept["python"] == f"{PACKAGE}.{path.stem}"
    assert kept["fast"] is True
    assert kept["seconds"] > 0


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_its_files_say_how_to_run_it_and_what_it_rests_on(path):
    first, second, third = path.read_text().splitlines()[:3]
    assert first == "# @package _global_"
    assert second == f"# python scripts/train.py study={path.stem}"
    assert third.startswith("# ")
    content = yaml.safe_load(path.read_text())
    assert content["name"] == path.stem
    assert set(content["study"]) <= {"python", "arms", "fast"}
    study = definition(path.stem)
    assert study.sources
    assert study.figures
    controls = {control for claim in study.claims for control in claim.controls}
    assert any(claim.name not in controls for claim in study.claims)
    assert all(claim.source for claim in study.claims)
    assert ast.get_docstring(ast.parse((REPOSITORY / "dlexp" / "studies" / f"{path.stem}.py").read_text()))


def test_every_study_has_both_files():
    python = {path.stem for path in (REPOSITORY / "dlexp" / "studies").glob("*.py")} - {"__init__"}
    assert python == {path.stem for path in STUDIES}
