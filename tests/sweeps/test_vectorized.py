"""The vectorized launcher as a user runs it: the same folders and numbers as the serial one."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from dlexp.sweeps.executors import take_device
from dlexp.training.module import SupervisedModule
from omegaconf import OmegaConf

TRAIN = [sys.executable, str(Path(__file__).resolve().parents[2] / "scripts" / "train.py")]
SWEEP = ["-m", "model.width=1,2,5", "seed=0,1", "debug=fast", "trainer.accelerator=cpu"]


def call(*arguments, cwd, **environment):
    return subprocess.run(
        [*TRAIN, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, **environment},
    )


def folders(cwd):
    return {path.parent.name: path.parent for path in cwd.glob("outputs/train_fast/*/result.json")}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same float64 sweep by both launchers."""
    cwds = {}
    for launcher in ("serial", "vectorized"):
        cwds[launcher] = tmp_path_factory.mktemp(launcher)
        done = call(*SWEEP, f"hydra/launcher={launcher}", "trainer.precision=64-true", cwd=cwds[launcher])
        assert (done.returncode, done.stderr) == (0, ""), done
    return cwds["serial"], cwds["vectorized"]


def test_same_folders_results_and_files(both):
    serial, vectorized = (folders(cwd) for cwd in both)
    assert sorted(serial) == sorted(vectorized)
    for name, folder in serial.items():
        other = vectorized[name]
        one, two = (json.loads((f / "result.json").read_text()) for f in (folder, other))
        assert two["metrics"] == pytest.approx(one["metrics"], rel=1e-9)
        for key in ("status", "config", "overrides", "seed", "error", "versions", "run_id", "identity"):
            assert one[key] == two[key], key
        kinds = [{p.name.split(".")[0] for p in f.rglob("*") if p.is_file()} for f in (folder, other)]
        assert kinds[0] == kinds[1]
        rows = [
            [line.split(",")[:3] for line in (f / "metrics.csv").read_text().splitlines()]
            for f in (folder, other)
        ]
        assert rows[0] == rows[1]
        assert "trained as one of 6 networks at once" in (other / "train.log").read_text()


def test_hydras_files_hold_the_same(both):
    serial, vectorized = (folders(cwd) for cwd in both)
    for name, folder in serial.items():
        for file in ("config", "overrides", "hydra"):
            one, two = (OmegaConf.load(f / ".hydra" / f"{file}.yaml") for f in (folder, vectorized[name]))
            if file == "hydra":
                for loaded in (one, two):
                    del loaded.hydra.launcher, loaded.hydra.runtime, loaded.hydra.overrides.hydra
            assert one == two, file


def test_checkpoints_load_alike(both):
    serial, vectorized = (folders(cwd) for cwd in both)
    for name, folder in serial.items():
        paths = [f / "checkpoints" / "last.ckpt" for f in (folder, vectorized[name])]
        one, two = (SupervisedModule.load_from_checkpoint(path, map_location="cpu") for path in paths)
        assert one.hparams == two.hparams
        assert torch.load(paths[1])["global_step"] == 20
        assert paths[1].stat().st_size < 2 * paths[0].stat().st_size  # not the whole stack in each
        for a, b in zip(one.network.parameters(), two.network.parameters(), strict=True):
            assert torch.allclose(a, b, rtol=1e-6, atol=1e-8)


def test_what_cannot_be_stacked_says_why_and_is_run(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from pytorch_lightning import Callback\n\n\nclass Mine(Callback):\n    pass\n"
    )
    done = call(
        *SWEEP,
        "hydra/launcher=vectorized",
        "+callbacks.mine._target_=mine.Mine",
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path),
    )
    assert done.returncode == 0, done
    logs = [folder.joinpath("train.log").read_text() for folder in folders(tmp_path).values()]
    assert len(logs) == 6
    assert all("trained by itself: the callback Mine is not declared safe on a stack" in log for log in logs)


def test_finished_members_are_not_trained_again(tmp_path):
    sweep = [*SWEEP, "hydra/launcher=vectorized"]
    call(*sweep, cwd=tmp_path)
    before = {p: (p / "result.json").stat().st_mtime_ns for p in folders(tmp_path).values()}
    next(iter(before)).joinpath("result.json").unlink()
    done = call(*[o.replace("1,2,5", "1,2,5,9") for o in sweep], cwd=tmp_path)
    assert done.returncode == 0
    after = {p: (p / "result.json").stat().st_mtime_ns for p in folders(tmp_path).values()}
    assert len(after) == 8
    assert sum(after[path] != time for path, time in before.items()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("spread", ["hydra.launcher.workers=2", "trainer.devices=2"])
def test_jobs_that_could_be_one_group_are_spread_over_processes(tmp_path, spread):
    done = call(*SWEEP, "hydra/launcher=vectorized", spread, "trainer.max_steps=5", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    logs = [(folder / "train.log").read_text() for folder in folders(tmp_path).values()]
    assert len(logs) == 6
    assert all("trained as one of 3 networks at once" in log for log in logs)


def test_any_executor_can_be_named_in_the_configuration(tmp_path):
    executor = "hydra.launcher.executor={_target_: concurrent.futures.ThreadPoolExecutor, max_workers: 1}"
    done = call(*SWEEP, "hydra/launcher=vectorized", executor, "trainer.max_steps=5", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    logs = [(folder / "train.log").read_text() for folder in folders(tmp_path).values()]
    assert len(logs) == 6
    assert all("trained as one of 6 networks at once" in log for log in logs)


@pytest.mark.parametrize(("visible", "seen"), [("4,7", ["4", "7", "4"]), (None, ["0", "1", "0"])])
def test_each_process_of_a_pool_sees_one_device(monkeypatch, visible, seen):
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    counter = multiprocessing.Value("i", 0)
    found = []
    for _ in range(3):  # as many processes begin, each with the environment of the first
        with monkeypatch.context() as process:
            if visible is not None:
                process.setenv("CUDA_VISIBLE_DEVICES", visible)
            take_device(counter, devices=2)
            found.append(os.environ.pop("CUDA_VISIBLE_DEVICES"))
    assert found == seen


def test_hydras_callbacks_are_told_of_each_job(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from hydra.experimental.callback import Callback\n\n\n"
        "class Mine(Callback):\n"
        "    def on_job_start(self, config, *, task_function, **kwargs):\n"
        "        print('start', config.hydra.job.num, config.seed, task_function.__name__)\n\n"
        "    def on_job_end(self, config, job_return, **kwargs):\n"
        "        print('end', job_return.cfg.seed, job_return.task_name, job_return.return_value > 0)\n"
    )
    done = call(
        *["-m", "seed=3,4", "debug=fast", "trainer.accelerator=cpu", "hydra/launcher=vectorized"],
        "+hydra.callbacks.mine._target_=mine.Mine",
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path),
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    told = [line for line in done.stdout.splitlines() if line.startswith(("start", "end"))]
    expected = [["start 0 3 train", "end 3 train True"], ["start 1 4 train", "end 4 train True"]]
    assert told == [line for lines in expected for line in lines]
