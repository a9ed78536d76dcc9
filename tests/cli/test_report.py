import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlexp.cli.report import main

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "report.py"


def write_run(folder: Path, width: int, status: str = "done") -> None:
    folder.mkdir(parents=True)
    result = {
        "status": status,
        "config": {"seed": 0, "data": {"n_train": 100, "output_dim": 1}, "model": {"width": width}},
        "overrides": [f"model.width={width}"],
        "seed": 0,
        "metrics": {"test/loss": 1.0 / width, "train/loss": 0.5 / width, "model/parameters": 22 * width + 1},
        "error": None if status == "done" else "RuntimeError: no",
        "duration_s": 1.0,
        "versions": {},
        "device": "cpu",
        "run_id": folder.name,
        "identity": f"{width:064d}",
    }
    (folder / "result.json").write_text(json.dumps(result))


def report(*arguments: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_report_from_another_directory_says_what_it_should_and_nothing_else(tmp_path: Path) -> None:
    for width in (1, 5, 50):
        write_run(tmp_path / "outputs" / "demo" / f"width={width}", width)
    write_run(tmp_path / "outputs" / "demo" / "width=7", 7, status="failed")
    # a fresh home, where matplotlib has no font cache yet and cannot make one
    (tmp_path / "file").touch()
    home = {"MPLCONFIGDIR": str(tmp_path / "file" / "none"), "COLUMNS": "80"}
    done = report("outputs/demo", cwd=tmp_path, **home)
    assert done.stderr == ""
    assert done.returncode == 0
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    assert lines[0].split() == ["width", "n", "not", "done", "test", "loss", "training", "loss"]
    assert lines[-6:] == [
        "outputs/demo/runs.csv",
        "outputs/demo/summary.csv",
        "outputs/demo/figures/loss_against_model.width.png",
        "outputs/demo/report.html",
        "tensorboard --logdir outputs/demo",
        "failed: width=7: RuntimeError: no (outputs/demo/width=7/train.log)",
    ]
    assert (
        tmp_path / "outputs" / "demo" / "figures" / "loss_against_model.width.png"
    ).stat().st_size > 10_000


def test_a_folder_without_runs_is_one_sentence(tmp_path: Path) -> None:
    done = report("outputs/nothing", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "There is no folder outputs/nothing.\n"


def test_the_table_is_shown_also_where_nothing_can_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for width in (1, 5):
        write_run(tmp_path / f"width={width}", width)
    (tmp_path / ".locks").touch()  # a file where the folder should be: not writable even for root
    assert main([str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "test loss" in shown.out
    assert shown.err == f"{tmp_path / '.locks'} cannot be written: File exists.\n"


def test_help_names_the_argument(tmp_path: Path) -> None:
    done = report("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "outputs/NAME" in done.stdout
