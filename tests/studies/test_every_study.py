"""Every study of conf/study in its fast form, from the command to the report."""

import html
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
STUDIES = sorted((REPOSITORY / "conf" / "study").glob("*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_quick_look_goes_the_whole_way(path, tmp_path):
    command = [
        sys.executable,
        "scripts/train.py",
        f"study={path.stem}",
        "debug=fast",
        f"hydra.sweep.dir={tmp_path}",
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Warning" not in done.stderr
    assert "Traceback" not in done.stderr

    study = yaml.safe_load(path.read_text())["study"]
    runs = [json.loads(result.read_text()) for result in tmp_path.glob("*/result.json")]
    assert {run["status"] for run in runs} <= {"done", "diverged"}
    assert {run["config"]["arm"] for run in runs} == set(study["arms"])

    findings = json.loads((tmp_path / "claims.json").read_text())
    assert [finding["name"] for finding in findings] == [claim["name"] for claim in study["claims"]]
    drawn = {figure.stem for figure in (tmp_path / "figures").glob("*.png")}
    assert drawn == {figure["name"] for figure in study["figures"]}
    report = (tmp_path / "report.html").read_text()
    assert study["question"] in html.unescape(report)
    kept = json.loads((tmp_path / "study.json").read_text())
    assert kept["fast"] is True
    assert kept["seconds"] > 0


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_its_file_says_how_to_run_it_and_what_it_rests_on(path):
    first, second, third = path.read_text().splitlines()[:3]
    assert first == "# @package _global_"
    assert second == f"# python scripts/train.py study={path.stem}"
    assert third.startswith("# ")
    content = yaml.safe_load(path.read_text())
    assert content["name"] == path.stem
    study = content["study"]
    assert study["sources"]
    claims = study["claims"]
    controls = {control for claim in claims for control in claim.get("controls", [])}
    assert any(claim["name"] not in controls for claim in claims)
    assert all(claim["scope"] and claim["source"] and claim["text"] for claim in claims)
