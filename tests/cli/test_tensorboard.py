"""What TensorBoard's own server shows of two sweeps, asked over HTTP as its web page asks."""

import csv
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FAST = ["debug=fast", "trainer.accelerator=cpu"]
WIDTHS = ["-m", "model.width=1,2", "name=widths"]
# Other settings, other metrics, and a job that diverges.
RATES = ["-m", "data=digits", "data.n_train=50", "optimizer=sgd", "optimizer.lr=0.05,1e30", "name=rates"]
pytestmark = pytest.mark.slow
STATUSES = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]


class Server:
    """A running TensorBoard."""

    def __init__(self, address: str) -> None:
        self.address = address

    def read(self, path: str, body: object = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.address + path, data=data, headers={"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as response:
            return bytes(response.read())

    def ask(self, path: str, body: object = None) -> Any:
        return json.loads(self.read(path, body))

    def sessions(self) -> dict[str, dict[str, Any]]:
        """The rows of the HPARAMS tab, by run, with all their columns."""
        experiment = self.ask("data/plugin/hparams/experiment", {})
        columns = [
            *({"hparam": info["name"], "includeInResult": True} for info in experiment["hparamInfos"]),
            *({"metric": info["name"], "includeInResult": True} for info in experiment["metricInfos"]),
        ]
        query = {"allowedStatuses": STATUSES, "colParams": columns, "startIndex": 0, "sliceSize": 100}
        groups = self.ask("data/plugin/hparams/session_groups", query)["sessionGroups"]
        return {group["name"]: group for group in groups}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boards")
    for sweep, code in ((WIDTHS, 0), (RATES, 1)):
        done = subprocess.run(
            [sys.executable, str(REPOSITORY / "scripts" / "train.py"), *sweep, *FAST],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == code, done.stdout + done.stderr
    return folder / "outputs"


@pytest.fixture(scope="module")
def runs(outputs: Path) -> dict[str, dict[str, Any]]:
    """The stored results, by the names that TensorBoard gives the runs."""
    return {
        str(path.parent.relative_to(outputs)): json.loads(path.read_text())
        for path in outputs.glob("*/*/result.json")
    }


@pytest.fixture(scope="module")
def server(outputs: Path, runs: dict[str, dict[str, Any]]) -> Iterator[Server]:
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(outputs), "--host", "127.0.0.1"]
    log = outputs.parent / "tensorboard.log"
    with open(log, "w") as file:
        # The system chooses a free port, and the server's log says which.
        process = subprocess.Popen([*command, "--port", "0"], stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 120
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        server = Server(found.group())
        while len(server.ask("data/runs")) < len(runs) + 1 or len(server.sessions()) < len(runs):
            assert time.monotonic() < deadline, server.ask("data/runs")
            time.sleep(0.2)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_every_run_and_the_figures_are_listed(server, runs):
    assert len(runs) == 4
    assert set(server.ask("data/runs")) == {*runs, "widths_fast/figures"}


def test_scalars_are_those_of_metrics_csv(server, runs, outputs):
    tags = server.ask("data/plugin/scalars/tags")
    for run in runs:
        with open(outputs / run / "metrics.csv") as file:
            rows = list(csv.DictReader(file))
        assert {"train/loss", "test/loss"} < {row["name"] for row in rows} == set(tags[run])
        for tag in tags[run]:
            shown = server.ask(f"data/plugin/scalars/scalars?run={quote(run)}&tag={quote(tag, safe='')}")
            kept = [(int(row["step"]), float(row["value"])) for row in rows if row["name"] == tag]
            assert [step for _, step, _ in shown] == [step for step, _ in kept]
            assert [value for *_, value in shown] == pytest.approx([value for _, value in kept], rel=1e-6)


def test_hparams_has_settings_and_final_metrics_of_each_run_in_their_columns(server, runs):
    sessions = server.sessions()
    assert set(sessions) == set(runs)
    for run, result in runs.items():
        settings = sessions[run]["hparams"]
        assert settings["model.width"] == result["config"]["model"]["width"]
        assert settings["optimizer.lr"] == pytest.approx(result["config"]["optimizer"]["lr"])
        assert settings["data.task"] == result["config"]["data"]["task"]
        assert settings["model.bias"] is True
        metrics = {metric["name"]["tag"]: metric["value"] for metric in sessions[run]["metricValues"]}
        assert metrics == pytest.approx(result["metrics"], rel=1e-6)


def test_hparams_shows_first_what_was_swept(server):
    """The web page shows five columns of settings unasked: those that differ, in the order of the answer."""
    columns = server.ask("data/plugin/hparams/experiment", {})
    differing = [info["name"] for info in columns["hparamInfos"] if info["differs"]]
    assert differing == [info["name"] for info in columns["hparamInfos"][: len(differing)]]
    assert {"model.width", "optimizer.lr", "data.task"} <= set(differing)
    assert not {"seed", "data.batch_size", "trainer.max_steps"} & set(differing)
    # Metrics that only some of the runs have still get their columns.
    tags = {info["name"]["tag"] for info in columns["metricInfos"]}
    assert tags >= {"train/loss", "test/loss", "train/error", "test/error", "model/parameters"}


def test_a_session_ends_as_its_run_did(server, runs):
    for run, group in server.sessions().items():
        (session,) = group["sessions"]
        done = runs[run]["status"] == "done"
        assert session["status"] == ("STATUS_SUCCESS" if done else "STATUS_FAILURE")
        assert session["startTimeSecs"] <= session["endTimeSecs"]
    assert sorted(result["status"] for result in runs.values()) == ["diverged", "done", "done", "done"]


def test_the_sweeps_figure_is_an_image(server, outputs):
    images = server.ask("data/plugin/images/tags")
    assert list(images) == ["widths_fast/figures"]
    (tag,) = images["widths_fast/figures"]
    found = server.ask(
        f"data/plugin/images/images?run=widths_fast/figures&tag={quote(tag, safe='')}&sample=0"
    )
    assert tag == "sweep/loss_against_model.width"
    png = server.read(f"data/plugin/images/individualImage?{found[-1]['query']}")
    assert png == (outputs / "widths_fast" / "figures" / "loss_against_model.width.png").read_bytes()
