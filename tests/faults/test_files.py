"""Files that are damaged, missing, foreign or in the way; a disk that is full: one job's matter, and said."""

import json
import os
import shutil

import pytest

from tests.faults.commands import SMALL, results, stamps, statuses
from tests.laws.processes import Fault
from tests.thinned import thinned

SWEEP = ["-m", "seed=0,1", "trainer.max_steps=5", *SMALL]


@pytest.fixture(scope="module")
def swept(processes, tmp_path_factory):
    """A folder with a sweep of two jobs that has ended."""
    folder = tmp_path_factory.mktemp("swept")
    ended = processes.command(*SWEEP, cwd=folder, fault=Fault("error", -1, str(folder)))
    assert ended.code == 0, ended.output
    return folder, ended.writes


@pytest.fixture
def sweep(swept, tmp_path):
    """A copy of that folder."""
    shutil.copytree(swept[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def edited(change):
    def edit(path):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return edit


def in_its_place(path):
    path.unlink()
    (path / "inside").mkdir(parents=True)


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


DAMAGES = {
    "brackets": ("result.json", lambda path: path.write_text("[" * 100_000), "result.json cannot be read"),
    "a folder": ("result.json", in_its_place, "result.json cannot be read"),
    "bytes": (
        "result.json",
        lambda path: path.write_bytes(b"\xff\xfe\x00" * 99),
        "result.json cannot be read",
    ),
    "nothing": ("result.json", lambda path: path.write_text(""), "result.json cannot be read"),
    "a number": (
        "result.json",
        edited(lambda c: c["metrics"].update(a=10**400)),
        "result.json cannot be read",
    ),
    "a cut checkpoint": ("checkpoints/last.ckpt", cut, "checkpoints/last.ckpt is damaged"),
    "no checkpoint": ("checkpoints/last.ckpt", os.unlink, "checkpoints/last.ckpt is missing"),
    "cut metrics": ("metrics.csv", cut, "metrics.csv is damaged"),
    "no metrics": ("metrics.csv", os.unlink, "metrics.csv is missing"),
    "metrics that are a folder": ("metrics.csv", in_its_place, "metrics.csv is missing"),
}


@pytest.mark.parametrize("damage", thinned(DAMAGES, 4))
def test_a_job_with_a_damaged_file_runs_anew(damage, sweep, processes):
    name, do, line = DAMAGES[damage]
    good, before = results(sweep), stamps(sweep)
    (folder,) = sweep.glob("outputs/s/*seed=0*")
    do(folder / name)
    ended = processes.command(*SWEEP, cwd=sweep)
    assert ended.code == 0, ended.output
    assert statuses(sweep) == ["done", "done"]
    assert {n: run["metrics"] for n, run in results(sweep).items()} == {
        n: r["metrics"] for n, r in good.items()
    }
    changed = [path for path, stamp in stamps(sweep).items() if stamp != before[path]]
    assert changed == [str(folder / "result.json")]
    said = [text for text in (folder / "train.log").read_text().splitlines() if "trained anew" in text]
    assert len(said) == 1
    assert line in said[0]


FOREIGN = {
    "a further key": lambda content: content.update(mine=1),
    "a further metric": lambda content: content["metrics"].update(mine=1.0),
    "no files": lambda content: content.pop("files"),
    "no commit": lambda content: (content.pop("commit"), content.pop("clean")),
    "no not_finite": lambda content: content.pop("not_finite"),
    "no schema": lambda content: content.pop("schema"),
}


@pytest.mark.parametrize("what", thinned(FOREIGN, 2))
def test_a_result_of_another_version_is_kept_where_it_means_the_same(what, sweep, processes):
    for path in sweep.glob("outputs/s/*/result.json"):
        edited(FOREIGN[what])(path)
    before = stamps(sweep)
    ended = processes.command(*SWEEP, cwd=sweep)
    assert ended.code == 0, ended.output
    assert stamps(sweep) == before
    assert len((sweep / "outputs" / "s" / "summary.csv").read_text().splitlines()) == 2  # one setting


@pytest.mark.parametrize("share", thinned([0.3, 0.6], 2))
def test_a_disk_that_fills_up_in_mid_sweep(share, swept, processes, tmp_path):
    full = Fault("full", int(share * swept[1]), str(tmp_path))
    ended = processes.command(*SWEEP, cwd=tmp_path, fault=full)
    assert ended.code == 1
    assert "Traceback" not in ended.output
    assert ended.output.count("No space left on device") <= 4
    kept = stamps(tmp_path)
    ended = processes.command(*SWEEP, cwd=tmp_path)
    assert ended.code == 0, ended.output
    assert statuses(tmp_path) == ["done", "done"]
    assert kept.items() <= stamps(tmp_path).items()


@pytest.mark.parametrize("file", thinned(["runs.csv", "summary.csv", "report.html"], 3))
def test_a_report_that_cannot_be_written_is_named(file, swept, processes, tmp_path):
    shutil.copytree(swept[0], tmp_path, dirs_exist_ok=True)
    path = tmp_path / "outputs" / "s" / file
    path.unlink()
    (path / "in the way").mkdir(parents=True)
    before = stamps(tmp_path)
    ended = processes.command(*SWEEP, cwd=tmp_path)
    assert ended.code == 1
    assert "test loss" in ended.output
    assert f"{file} cannot be written: " in ended.output
    assert "Traceback" not in ended.output
    assert stamps(tmp_path) == before
