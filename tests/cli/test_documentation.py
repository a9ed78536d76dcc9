"""What README.md and docs/ promise: commands compose, lists are complete, links lead somewhere."""

import itertools
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from dlexp.config.resolve import conf_directory
from dlexp.config.schema import Config
from dlexp.train.problems import find_build_problems

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
PAGES = {path.name: path.read_text() for path in (REPOSITORY / "docs").glob("*.md")}
ALL = "\n".join([README, *PAGES.values()])

BLOCKS = re.findall(r"```(\w+)\n(.*?)```", ALL, flags=re.DOTALL)
LINES = [
    line
    for language, block in BLOCKS
    if language == "bash"
    for line in block.replace("\\\n", "").splitlines()  # a command may go on in the next line
]
COMMANDS = list(dict.fromkeys(line for line in LINES if line.startswith("python scripts/")))
TO_COMPOSE = [line for line in COMMANDS if "train.py" in line]
NOTEBOOK = re.findall(r"```python\n(.*?)```", PAGES["first_steps.md"], flags=re.DOTALL)
FAST = ["debug=fast", "trainer.accelerator=cpu"]


def call(line, cwd, *more):
    """Run one of the pages' commands in another folder, cut short."""
    words = [str(REPOSITORY / w) if w.startswith("scripts/") else w for w in shlex.split(line, comments=True)]
    assert words[0] == "python"
    return subprocess.run(
        [sys.executable, *words[1:], *more],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
    )


def remarks(done):
    """What a command printed beside its progress: that is shown when it takes longer than ten seconds."""
    return [line for line in done.stderr.splitlines() if not re.fullmatch(r"jobs? .* s left", line)]


def jobs(overrides):
    """The overrides of each job that Hydra's sweeper makes of a command's."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    choices = [
        [f"{o.get_key_element()}={value}" for value in o.sweep_string_iterator()]
        if o.is_sweep_override()
        else [o.input_line]
        for o in parsed
    ]
    return [list(job) for job in itertools.product(*choices)]


def test_no_command_is_overlooked():
    assert len(TO_COMPOSE) == len(set(re.findall(r"^python scripts/train\.py.*$", ALL, re.MULTILINE)))
    assert len(TO_COMPOSE) > 20


@pytest.mark.parametrize("name", ["README.md", *(f"docs/{name}" for name in PAGES)])
def test_links_and_images_lead_to_files(name):
    page = REPOSITORY / name
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link


@pytest.mark.parametrize("line", TO_COMPOSE)
def test_a_command_composes_and_validates(line, compose_plain):
    overrides = [word for word in shlex.split(line, comments=True)[2:] if word != "-m"]
    composed = [compose_plain(*job) for job in jobs(overrides)]
    assert composed
    for config in composed:
        Config.check(config)
        assert not find_build_problems(config)


@pytest.mark.parametrize("group", ["data", "model", "optimizer", "trainer", "logger", "debug"])
def test_the_table_names_every_option_of_a_group(group):
    (row,) = re.findall(rf"^\| `{group}=` \|(.*)\|$", PAGES["settings.md"], flags=re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", row))
    assert named == {path.stem for path in (conf_directory() / group).glob("*.yaml")} - {"base"}


def test_the_notebook_blocks_run_on_results_as_described(command, tmp_path, monkeypatch, capsys):
    done = command("-m", "model.width=5", "seed=0,1", "name=five_seeds", *FAST)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "outputs" / "five_seeds_fast"
    (described,) = re.findall(
        r"^`result\.json` has the keys (.*?)\.$", PAGES["first_steps.md"], flags=re.MULTILINE | re.DOTALL
    )
    keys = set(re.findall(r"`(\w+)`", described)) - {"done", "diverged", "failed"}
    assert keys == set(json.loads(next(folder.glob("*/result.json")).read_text()))
    folder.rename(folder.with_name("five_seeds"))
    monkeypatch.chdir(tmp_path)
    values = {}
    for block in NOTEBOOK:
        exec(block, values)
    assert capsys.readouterr().out.startswith("seed")
    assert values["done"]["test/loss"].notna().sum() == 2
    assert values["network"].hidden_1.out_features == 5


@pytest.mark.slow
def test_the_main_job_shows_what_the_readme_says(tmp_path):
    (main,) = [line for line in COMMANDS if line.endswith("-m model.width=1,2,5,50,200")]
    done = call(main, tmp_path)
    assert (done.returncode, remarks(done)) == (0, [])
    folder = tmp_path / "outputs" / "train"
    assert {path.name for path in folder.glob("*.csv")} == {"runs.csv", "summary.csv"}
    stored = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    losses = {result["config"]["model"]["width"]: result["metrics"]["test/loss"] for result in stored}
    rows = re.findall(r"^\| ([a-z ]+) \| (.*) \|$", README, flags=re.MULTILINE)
    widths, claimed = (
        next(row.split(" | ") for name, row in rows if name == n) for n in ("width", "test loss")
    )
    # Other machines round differently, and near the peak that shows.
    assert max(losses, key=losses.__getitem__) == 5
    for width, loss in zip(map(int, widths), map(float, claimed), strict=True):
        assert losses[width] == pytest.approx(loss, rel=0.5 if width == 5 else 0.1)
