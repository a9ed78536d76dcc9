"""A study of a user's own: a YAML and a Python file anywhere on Hydra's search path."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dlexp.cli.study import arm_problems, node_problems
from dlexp.results.claims import Claim, at_least
from dlexp.results.statistics import ratio, value

Command = Callable[..., subprocess.CompletedProcess[str]]

YAML = """# @package _global_
name: own
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      seed: range(2)
study:
  arms:
    narrow: { model.width: 2 }
    wide: { model.width: 30 }
"""
PYTHON = '''"""Is wide better than narrow?"""

from dlexp.plots import bars
from dlexp.results.claims import Claim, at_least
from dlexp.results.statistics import ratio, value
from dlexp.results.study import figure

QUESTION = "Is wide better than narrow?"


def loss(arm):
    return value("train/loss", {"arm": arm})


CLAIMS = [
    Claim(
        name="wide_fits_better",
        text="The wide network has the smaller training loss.",
        statistic=ratio(of=loss("narrow"), to=loss("wide")),
        region=at_least(1),
        replicates=2,
        figure="losses",
        scope="Two widths.",
    )
]


@figure(title="Training losses", caption="The wide network's is smaller.")
def losses(axes, table):
    bars(axes, {arm: table.select(arm=arm).column("train/loss") for arm in ("narrow", "wide")})


FIGURES = [losses]
'''


def sweep(command: Command, tmp_path: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    path = f"hydra.searchpath=[file://{tmp_path / 'mine'}]"
    return command("study=own", "debug=fast", "seed=range(2)", path, *overrides)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "mine" / "study"
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text(YAML)
    (folder / "own.py").write_text(PYTHON)
    return folder


def test_a_pair_of_ones_own_is_run_judged_drawn_and_kept(command: Command, tmp_path: Path, own: Path) -> None:
    done = sweep(command, tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "outputs" / "own_fast"
    (finding,) = json.loads((folder / "claims.json").read_text())
    assert (finding["name"], finding["n"]) == ("wide_fits_better", 2)
    assert [path.name for path in (folder / "figures").glob("*.png")] == ["losses.png"]
    assert (folder / "own.yaml").read_text() == YAML
    assert (folder / "own.py").read_text() == PYTHON
    report = command("outputs/own_fast", script="report.py")
    assert "Without --trust own.py in this folder is not run" in report.stdout
    assert json.loads((folder / "claims.json").read_text()) == [finding]
    trusted = command("outputs/own_fast", "--trust", script="report.py")
    assert "--trust" not in trusted.stdout
    assert (folder / "figures" / "losses.png").exists()


def test_mistakes_are_told_before_anything_runs(command: Command, tmp_path: Path, own: Path) -> None:
    (own / "own.py").write_text(PYTHON.replace('loss("wide")', 'loss("wode")'))
    done = sweep(command, tmp_path)
    assert done.returncode != 0
    assert "Claim wide_fits_better: arm=wode is not allowed: it must be one of narrow, wide." in done.stderr
    (own / "own.py").write_text("QUESTION = 1 / 0")
    assert "study.python=own.py cannot be read: ZeroDivisionError" in sweep(command, tmp_path).stderr
    assert not list((tmp_path / "outputs").glob("*/*/result.json"))


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        (
            {"claims": []},
            "study.claims is not a key of a study; allowed: python, arms, fast. Question, claims",
        ),
        ({"arms": ["a"]}, "study.arms=[a] is not allowed: it must be a mapping."),
        ({"python": 3}, "study.python=3 is not allowed: it must be a module or a file."),
    ],
)
def test_each_mistake_in_a_node_is_one_sentence(node: dict[str, object], sentence: str) -> None:
    (problem,) = node_problems(node)
    assert problem.startswith(sentence)


def test_arms_of_claims_are_those_of_the_study() -> None:
    statistic = ratio(of=value("a", {"arm": ["x", "z"]}), to=value("a", {"arm": "y"}))
    claim = Claim(name="c", text="t", scope="s", statistic=statistic, region=at_least(1))
    assert [*arm_problems([claim], {"x": {}, "y": {}})] == [
        "Claim c: arm=z is not allowed: it must be one of x, y."
    ]
