"""The training command as a user runs it: subprocesses, from another directory."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TRAIN = [sys.executable, str(REPOSITORY / "scripts" / "train.py")]
FAST = ["debug=fast", "trainer.accelerator=cpu"]


def call(*arguments, cwd, **environment):
    return subprocess.run(
        [*TRAIN, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, **environment},
    )


def results(folder):
    return {
        path.parent.name.split(",")[0]: json.loads(path.read_text()) for path in folder.glob("*/result.json")
    }


@pytest.fixture(scope="module")
def failing_module(tmp_path_factory):
    """A callback that raises for networks of width 2 and leaves the others alone."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "failing.py").write_text(
        textwrap.dedent("""
            from pytorch_lightning import Callback

            class RaisesAtWidthTwo(Callback):
                def on_train_start(self, trainer, module):
                    if module.network.hidden_1.out_features == 2:
                        raise RuntimeError("width two is unlucky")
        """)
    )
    return folder


@pytest.fixture(scope="module")
def swept(tmp_path_factory, failing_module):
    """One sweep from another directory, of whose three jobs the second fails."""
    cwd = tmp_path_factory.mktemp("elsewhere")
    sweep = ["-m", "model.width=1,2,5", "+callbacks.f._target_=failing.RaisesAtWidthTwo", *FAST]
    return cwd, sweep, call(*sweep, cwd=cwd, PYTHONPATH=str(failing_module))


def test_a_failing_job_takes_no_other_with_it(swept):
    cwd, _, done = swept
    folder = cwd / "outputs" / "train_fast"
    by_width = results(folder)
    assert done.returncode == 1
    assert {name: result["status"] for name, result in by_width.items()} == {
        "width=1": "done",
        "width=2": "failed",
        "width=5": "done",
    }
    assert by_width["width=2"]["error"] == "RuntimeError: width two is unlucky"
    last = done.stdout.strip().splitlines()[-1]
    assert "width=2" in last
    assert "width two is unlucky" in last
    log = next(folder.glob("width=2*/train.log")).read_text()
    assert "Traceback" in log
    assert "failing.py" in log


def test_the_terminal_shows_a_table_and_nothing_else(swept):
    _, _, done = swept
    assert done.stderr == ""
    assert "test loss" in done.stdout
    assert "tensorboard --logdir outputs/train_fast" in done.stdout
    assert "Warning" not in done.stdout
    assert "\x1b" not in done.stdout


def test_a_runs_folder_is_whole(swept):
    folder = next((swept[0] / "outputs" / "train_fast").glob("width=5*"))
    names = {path.name.split(".")[0] for path in folder.iterdir()}
    assert names >= {"result", "metrics", "events", "checkpoints", "train", ""}
    result = json.loads((folder / "result.json").read_text())
    assert set(result) >= {
        "status",
        "config",
        "overrides",
        "seed",
        "metrics",
        "error",
        "duration_s",
        "versions",
        "device",
    }
    assert "model.width=5" in result["overrides"]
    assert (folder / ".hydra" / "config.yaml").exists()
    assert (folder / "metrics.csv").read_text().startswith("step,epoch,name,value\n0,0,")


def test_the_sweeps_folder_holds_tables_and_figures(swept):
    folder = swept[0] / "outputs" / "train_fast"
    assert (folder / "runs.csv").exists()
    assert (folder / "summary.csv").exists()
    assert list((folder / "figures").glob("*.png"))


def test_running_again_trains_only_what_is_not_finished(swept, failing_module):
    cwd, sweep, _ = swept
    folder = cwd / "outputs" / "train_fast"
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/result.json")}
    wider = [o.replace("1,2,5", "1,2,5,7") for o in sweep]
    call(*wider, cwd=cwd, PYTHONPATH=str(failing_module))
    changed = {p.parent.name.split(",")[0] for p, t in before.items() if p.stat().st_mtime_ns != t}
    assert changed == {"width=2"}
    assert "width=7" in results(folder)
    again = call(*sweep, "rerun=true", cwd=cwd, PYTHONPATH=str(failing_module))
    assert again.returncode == 1
    assert all(path.stat().st_mtime_ns != t for path, t in before.items())
    log = next(folder.glob("width=1*/train.log")).read_text()
    assert "already finished: the stored result is returned" in log


def test_a_damaged_result_is_made_again(swept, failing_module):
    cwd, sweep, _ = swept
    path = next((cwd / "outputs" / "train_fast").glob("width=5*/result.json"))
    good = json.loads(path.read_text())["metrics"]
    path.write_text('{"status": "done", ')
    call(*sweep, cwd=cwd, PYTHONPATH=str(failing_module))
    assert json.loads(path.read_text())["metrics"] == good


def test_a_diverged_job_is_named_and_the_exit_code_says_so(tmp_path):
    done = call("-m", "optimizer=sgd", "optimizer.lr=0.01,1e9", *FAST, "hydra/launcher=basic", cwd=tmp_path)
    statuses = sorted(r["status"] for r in results(tmp_path / "outputs" / "train_fast").values())
    assert statuses == ["diverged", "done"] or done.returncode == 1
    assert done.returncode == 1
    assert "no longer finite" in done.stdout


def test_wrong_values_stop_a_sweep_before_its_first_job(tmp_path):
    done = call("-m", "model.width=1,0,5", "optimizer.lr=nan", *FAST, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        "  optimizer.lr=nan is not allowed: it must be a finite number above 0. (3 of 3 jobs)",
        "  model.width=0 is not allowed: it must be at least 1. (1 of 3 jobs)",
    ]
    assert not list(tmp_path.glob("outputs/*/*/"))


def test_a_single_job_prints_its_result_and_refuses_wrong_values(tmp_path):
    done = call("model.width=3", *FAST, "hydra.run.dir=here", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "test/loss" in done.stdout
    assert json.loads((tmp_path / "here" / "result.json").read_text())["status"] == "done"
    refused = call("model.width=0", cwd=tmp_path)
    assert refused.returncode == 1
    assert "model.width=0 is not allowed" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "outputs").write_text("a file where the folder should be")
    done = call("-m", "model.width=1,2", *FAST, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Results cannot be written to ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (signal.SIGKILL, -9),
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_sweep_keeps_what_is_finished_and_goes_on(sent, code, tmp_path):
    # one job after the other, so that some are finished when it is interrupted
    sweep = ["-m", "model.width=1,2,3", "trainer.max_steps=3000", "hydra/launcher=serial"]
    folder = tmp_path / "outputs" / "train"
    process = subprocess.Popen(
        [*TRAIN, *sweep],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # a shell starts its background jobs with SIGINT ignored, and the tests may be one
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 120
    while not list(folder.glob("width=1*/result.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(sent)
    process.communicate(timeout=60)
    assert process.returncode == code
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("*/result.json")}
    assert 1 <= len(finished) < 3
    again = call(*sweep, cwd=tmp_path)
    assert again.returncode == 0
    assert {r["status"] for r in results(folder).values()} == {"done"}
    assert len(results(folder)) == 3
    assert all(path.stat().st_mtime_ns == t for path, t in finished.items())


@pytest.mark.slow
def test_two_sweeps_on_one_folder_at_once(tmp_path):
    sweep = [*TRAIN, "-m", "model.width=1,2,3,4", *FAST]
    both = [
        subprocess.Popen(sweep, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in "ab"
    ]
    outputs = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    folder = tmp_path / "outputs" / "train_fast"
    assert len(results(folder)) == 4
    assert len(list(folder.glob("width=*/events.*"))) == 4  # trained once each
    assert len((folder / "runs.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job"], ["--info", "defaults"]])
def test_looking_at_the_configuration_does_not_import_torch(arguments, tmp_path):
    code = (
        "import sys, atexit; sys.argv[0] = 'train.py';"
        "atexit.register(lambda: print('torch' in sys.modules, 'matplotlib' in sys.modules));"
        "from dlexp.cli.train import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False False"
    assert not list(tmp_path.iterdir())
