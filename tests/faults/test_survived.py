"""Surroundings that are odd but no fault: the sweep runs as ever, or says in one line why it cannot."""

import json
import os
import shutil
import time

import pytest

from tests.faults.commands import SMALL, results, stamps, statuses
from tests.laws.processes import Fault
from tests.thinned import thinned

SWEEP = ["-m", "seed=0,1", "trainer.max_steps=5", *SMALL]

pytestmark = pytest.mark.slow  # rare things, each a command of its own


def done(processes, folder, *more, code=0, **how):
    ended = processes.command(*SWEEP, *more, cwd=folder, **how)
    assert ended.code == code, ended.output
    assert "Traceback" not in ended.output
    return ended.output


@pytest.fixture(scope="module")
def swept(processes, tmp_path_factory):
    """A folder with a sweep of two jobs that has ended."""
    folder = tmp_path_factory.mktemp("swept")
    done(processes, folder)
    return folder


@pytest.mark.parametrize(
    "environment",
    thinned(
        [
            {"HOME": "/nowhere"},
            {"TMPDIR": "/proc"},
            {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},  # no Unicode on the terminal
        ],
        3,
    ),
    ids=str,
)
def test_an_odd_environment(environment, processes, tmp_path):
    done(processes, tmp_path, environment=environment)
    assert statuses(tmp_path) == ["done"] * 2


def test_forty_open_files(processes, tmp_path):
    many = [argument.replace("seed=0,1", "seed=range(60)") for argument in SWEEP]
    ended = processes.command(*many, cwd=tmp_path, fault=Fault("files", 40, "."))
    assert ended.code == 0, ended.output
    assert statuses(tmp_path) == ["done"] * 60


def test_a_folder_reached_by_a_link_and_a_name_in_unicode(processes, tmp_path):
    (tmp_path / "größer ± 1").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "größer ± 1")
    done(processes, tmp_path, "hydra.sweep.dir='link/σ=1'")
    assert len(list(tmp_path.glob("größer ± 1/σ=1/*/result.json"))) == 2


def test_a_folder_that_was_moved_is_not_trained_again(swept, processes, tmp_path):
    shutil.copytree(swept / "outputs" / "s", tmp_path / "elsewhere", dirs_exist_ok=True)
    before = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("elsewhere/*/result.json"))]
    done(processes, tmp_path, "hydra.sweep.dir=elsewhere")
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("elsewhere/*/result.json"))] == before


def test_a_clock_that_was_set_back(swept, processes, tmp_path):
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    later = time.time() + 10**6
    for path in tmp_path.rglob("*"):
        os.utime(path, (later, later))
    before = stamps(tmp_path)
    done(processes, tmp_path)
    assert stamps(tmp_path) == before


def test_a_folder_that_cannot_be_written_is_one_line(processes, tmp_path):
    (tmp_path / "outputs").touch()
    output = done(processes, tmp_path, code=1)
    assert output.startswith("Results cannot be written to ")
    assert len(output.strip().splitlines()) == 1


def test_targets_that_are_no_numbers(processes, tmp_path):
    output = done(processes, tmp_path, "data.generator._target_=tests.faults.foreign.no_numbers", code=1)
    assert statuses(tmp_path) == ["diverged"] * 2
    assert output.count("diverged: ") == 2


def test_a_divergence(processes, tmp_path):
    output = done(processes, tmp_path, "optimizer=sgd", "optimizer.lr=1e30", code=1)
    assert statuses(tmp_path) == ["diverged"] * 2
    assert output.count("diverged: ") == 2


def test_a_metric_near_the_largest_number(swept, processes, tmp_path):
    shutil.copytree(swept, tmp_path, dirs_exist_ok=True)
    for path in tmp_path.glob("outputs/s/*/result.json"):
        content = json.loads(path.read_text())
        content["metrics"]["test/loss"] = 1e308
        path.write_text(json.dumps(content))
    (tmp_path / "outputs" / "s" / "report.html").unlink()
    done(processes, tmp_path)
    assert (tmp_path / "outputs" / "s" / "report.html").exists()
    assert {run["metrics"]["test/loss"] for run in results(tmp_path).values()} == {1e308}
