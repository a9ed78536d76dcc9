"""docs/extending.md does what it says: its files are written, its commands are run."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "extending.md").read_text()
FILES = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", PAGE, flags=re.S)
COMMANDS = re.findall(r"```console\n(.*?)\n```", PAGE, flags=re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    for name, content in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    for command in COMMANDS:
        program, *arguments = shlex.split(command)
        assert program == "dlexp-train"
        script = [sys.executable, str(REPOSITORY / "scripts" / "train.py"), *arguments]
        done = subprocess.run(script, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_own_network_loss_and_measure_are_trained_and_recorded(folder):
    results = [json.loads(path.read_text()) for path in folder.glob("own_parts/*/result.json")]
    assert len(results) == 4
    assert all(result["status"] == "done" for result in results)
    assert all(result["metrics"]["outputs/largest"] > 0 for result in results)


def test_own_data_and_network_by_their_names(folder):
    results = [json.loads(path.read_text()) for path in folder.glob("own_data/*/result.json")]
    assert [result["status"] for result in results] == ["done", "done"]
    assert {result["config"]["data"]["generator"]["_target_"] for result in results} == {"my_data.friedman"}


def test_own_study_ends_in_a_verdict(folder):
    claims = json.loads((folder / "own_study" / "claims.json").read_text())
    assert "wide_is_better" in json.dumps(claims)
    assert (folder / "own_study" / "figures" / "test_losses.png").exists()
