"""The training command as a user runs it: subprocesses, from another directory."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TRAIN = [sys.executable, str(REPOSITORY / "scripts" / "train.py")]
FAST = ["debug=fast", "trainer.accelerator=cpu"]
MINE = """
import os
import signal

from hydra.experimental.callback import Callback as HydraCallback
from pytorch_lightning import Callback


class RaisesAtWidthTwo(Callback):
    def on_train_start(self, trainer, module):
        if module.network.hidden_1.out_features == 2:
            raise RuntimeError("width two is unlucky")


class Tells(HydraCallback):
    def on_job_start(self, config, *, task_function, **kwargs):
        print("start", config.hydra.job.num, config.seed, task_function.__name__)

    def on_job_end(self, config, job_return, **kwargs):
        print("end", job_return.cfg.seed, job_return.task_name, job_return.return_value > 0)
"""


@pytest.fixture
def cwd(tmp_path):
    """An empty folder but for a module of one's own, and ``srun`` on the PATH as on a login node."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "bin").mkdir()
    srun = tmp_path / "bin" / "srun"
    srun.write_text("#!/bin/sh\n")
    srun.chmod(srun.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def environment(cwd):
    paths = [str(cwd), *filter(None, [os.environ.get("PYTHONPATH")])]
    path = f"{cwd / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def call(*arguments, cwd):
    return subprocess.run(
        [*TRAIN, *arguments], cwd=cwd, capture_output=True, text=True, timeout=240, env=environment(cwd)
    )


def results(cwd, name="train_fast"):
    return {
        path.parent.name.split(",")[0]: json.loads(path.read_text())
        for path in cwd.glob(f"outputs/{name}/*/result.json")
    }


def statuses(cwd, name="train_fast"):
    return [json.loads(path.read_text())["status"] for path in cwd.glob(f"outputs/{name}/*/result.json")]


def logs(cwd):
    return [path.read_text() for path in cwd.glob("outputs/train_fast/*/train.log")]


SEEDS = ["-m", "seed=0,1,2,3"]
RAISES = "+callbacks.f._target_=mine.RaisesAtWidthTwo"
TELLS = "+hydra.callbacks.mine._target_=mine.Tells"
THREAD = "hydra.launcher.executor={_target_: concurrent.futures.ThreadPoolExecutor, max_workers: 1}"
REFUSED = "The configuration cannot be run:\n  "


class Ends(NamedTuple):
    """How a command ends: patterns of what it prints, its jobs' statuses, and what each train.log holds."""

    arguments: list[str]
    code: int = 0
    stdout: str = "test.loss"
    stderr: str = ""  # the whole of it
    statuses: str = "done done done done"
    log: str = ""


COMMANDS = {
    "one job": Ends(
        ["model.width=3"],
        stdout=r"(?s)test/loss.*results: outputs.*tensorboard --logdir outputs",
        statuses="done",
        log="one of 1 networks",
    ),
    "a sweep": Ends(
        SEEDS,
        stdout=r"(?s)test loss.*report.html.*tensorboard --logdir outputs/train_fast",
        log="one of 4 networks",
    ),
    "one by one": Ends([*SEEDS, "hydra/launcher=serial"], log="trained by itself: training.engine=loop"),
    "by Hydra": Ends([*SEEDS, "hydra/launcher=basic"], log="one of 1 networks"),
    "workers": Ends([*SEEDS, "hydra.launcher.workers=2"], log="one of 2 networks"),
    "an executor": Ends([*SEEDS, THREAD], log="one of 4 networks"),
    "a job that raises": Ends(
        ["-m", "model.width=1,2,5", RAISES],
        code=1,
        stdout=r"(?m)^failed: .*width=2.*: RuntimeError: width two is unlucky \(.*train.log\)$",
        statuses="done done failed",
    ),
    "a job that diverges": Ends(
        ["-m", "optimizer=sgd", "optimizer.lr=0.01,1e30"],
        code=1,
        stdout=r"(?m)^diverged: .*lr=1e\+?30.* no longer finite",
        statuses="diverged done",
    ),
    "one that diverges": Ends(
        ["optimizer=sgd", "optimizer.lr=1e30"],
        code=1,
        stdout="results: ",
        stderr=r"diverged: .*no longer finite.*train.log\)\n",
        statuses="diverged",
    ),
    "no step": Ends(["trainer.max_steps=0"], statuses="done", log="after 0 steps"),
    "mixed precision": Ends(
        ["trainer.precision=bf16-mixed", "trainer.gradient_clip_val=1"],
        statuses="done",
        log="Lightning's hooks",
    ),
    "a wrong value": Ends(
        ["model.width=0"],
        code=1,
        stdout="^$",
        stderr=rf"{REFUSED}model.width=0 is not allowed: [^\n]*\n",
        statuses="",
    ),
    "wrong values": Ends(
        ["-m", "model.width=1,0,5", "optimizer.lr=nan"],
        code=1,
        stdout="^$",
        stderr=rf"{REFUSED}(?=[^$]*optimizer.lr=nan )(?=[^$]*model.width=0 )[^$]*of 3 jobs\)\n",
        statuses="",
    ),
    "no place": Ends(
        ["-m", "seed=0,1", "hydra.sweep.dir=mine.py/x"],
        code=1,
        stdout="^$",
        stderr=r"Results cannot be written to [^\n]*\.\n",
        statuses="",
    ),
    "callbacks of Hydra": Ends(
        ["-m", "seed=3,4", TELLS],
        stdout="^start 0 3 train\nend 3 train True\nstart 1 4 train\nend 4 train True\n",
        statuses="done done",
    ),
}


SLOW = (
    *(
        "an executor",
        "callbacks of Hydra",
        "by Hydra",
        "mixed precision",
        "one that diverges",
        "wrong values",
    ),
    *("workers", "one by one", "no step", "a job that diverges", "a sweep"),
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else []) for name in COMMANDS]
)
def test_a_command(name, cwd):
    ends = COMMANDS[name]
    done = call(*ends.arguments, *FAST, cwd=cwd)
    assert done.returncode == ends.code, done
    told = re.sub(r"(?m)^jobs? .* left\n", "", done.stderr)  # on a slow machine
    assert re.fullmatch(ends.stderr, told), done.stderr
    assert re.search(ends.stdout, done.stdout), done.stdout
    assert "Warning" not in done.stdout
    assert "\x1b" not in done.stdout
    assert " ".join(sorted(statuses(cwd))) == ends.statuses
    assert all(ends.log in text for text in logs(cwd)), logs(cwd)


def test_a_second_call_trains_what_is_not_done(cwd):
    sweep = ["-m", "model.width=1,2,5", RAISES, *FAST]
    call(*sweep, cwd=cwd)
    written = {path: path.stat().st_mtime_ns for path in cwd.glob("outputs/train_fast/*/result.json")}
    assert len(written) == 3
    damaged = next(path for path in written if "width=5" in path.parent.name)
    good = json.loads(damaged.read_text())["metrics"]
    damaged.write_text('{"status": "done", ')
    call(*[override.replace("1,2,5", "1,2,5,7") for override in sweep], cwd=cwd)
    changed = {path.parent.name.split(",")[0] for path, t in written.items() if path.stat().st_mtime_ns != t}
    assert changed == {"width=2", "width=5"}
    assert set(results(cwd)) == {"width=1", "width=2", "width=5", "width=7"}
    assert json.loads(damaged.read_text())["metrics"] == good
    call(*sweep, "rerun=true", cwd=cwd)
    assert all(path.stat().st_mtime_ns != t for path, t in written.items())


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
