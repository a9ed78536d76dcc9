"""Findings and figures as studies make them, and a real browser to open pages in."""

import json
import math
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dlexp.report.images import Drawn
from dlexp.results.claims import Finding


def make_finding(name: str = "peak", /, **fields: Any) -> Finding:
    """Return a finding: a supported claim with five seeds unless `fields` say otherwise."""
    return Finding(
        **{
            "name": name,
            "text": "The test loss peaks at the first width whose parameters outnumber the samples.",
            "source": "Belkin et al. 2019",
            "statistic": "peak of test/loss along model.width",
            "estimate": 3.25,
            "low": 2.9,
            "high": 3.6,
            "region": (2.0, math.inf),
            "n": 5,
            "replicates": 5,
            "verdict": "supported",
            "reason": "The whole interval lies in the region.",
            "controls": (),
            "is_control": False,
            "scope": "For this teacher and these widths.",
            "figure": None,
            "values": {0: 3.1, 1: 3.4},
            **fields,
        }
    )


def make_figure(folder: Path, name: str = "double_descent", /, **fields: Any) -> Drawn:
    """Draw a small figure as PNG and SVG."""
    from matplotlib.figure import Figure as Canvas

    from dlexp.plots.style import look, save

    with look():
        drawn = Canvas(figsize=(6, 3))
        drawn.subplots().plot([1, 2, 3], [1, 3, 2])
        path, _ = save(drawn, folder / name)
    return Drawn(**{"name": name, "title": "Test loss", "caption": "It peaks.", "path": path, **fields})


@pytest.fixture(scope="session")
def finding():
    return make_finding


@pytest.fixture(scope="session")
def figure():
    return make_figure


class Page:
    """A page in headless Chromium, driven over its debugging pipe: JSON messages that end in a zero byte."""

    def __init__(self, commands: int, answers: int):
        self._commands = os.fdopen(commands, "wb", buffering=0)
        self._answers = os.fdopen(answers, "rb")
        self._sent = 0
        self.events: list[dict[str, Any]] = []
        self._session: str | None = None

    def attach(self) -> None:
        """Open a tab and listen to it."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol; return its result."""
        self._sent += 1
        message: dict[str, Any] = {"id": self._sent, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._sent:
                assert "error" not in answer, answer
                return answer["result"]

    def close(self) -> None:
        """Close the pipe, which ends the browser."""
        self._commands.close()
        self._answers.close()

    def _read(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "the browser ended"
            text += byte
        message = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message

    def open(self, path: Path) -> None:
        """Load a file and wait until it is there; `events` then begins anew with it."""
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._read()

    def run(self, expression: str) -> Any:
        """Evaluate JavaScript in the page; return its value."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def resize(self, width: int, height: int = 800, *, phone: bool = False) -> None:
        """Lay the page out at a size in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )

    def press(self, key: str, text: str = "") -> None:
        """Press and release a key."""
        common = {"key": key, "code": key, "windowsVirtualKeyCode": 13 if key == "Enter" else 9}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def complaints(self) -> list[Any]:
        """Return what the console shows of errors and warnings, and all requests to anywhere else."""
        kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        requests = [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]
        outside = [url for url in requests if not url.startswith(("file:", "data:"))]
        return [event for event in self.events if event["method"] in kinds] + outside


def find_browser() -> str | None:
    """Return a Chromium: the one that DLEXP_CHROMIUM names, or one on the path."""
    names = (os.environ.get("DLEXP_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium here")
    profile = tmp_path_factory.mktemp("profile")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--remote-debugging-pipe",
    ]
    commands_read, commands_write = os.pipe()
    answers_read, answers_write = os.pipe()
    # The browser reads commands on descriptor 3 and answers on 4, whatever the numbers are here.
    launch = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
    launch += "os.execv(sys.argv[3], sys.argv[3:])"
    descriptors = [str(commands_read), str(answers_write)]
    process = subprocess.Popen(
        [sys.executable, "-c", launch, *descriptors, program, *options, f"--user-data-dir={profile}"],
        pass_fds=(commands_read, answers_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands_read)
    os.close(answers_write)
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    page = Page(commands_write, answers_read)
    try:
        page.attach()
        yield page
    finally:
        page.close()
        watchdog.cancel()
        process.terminate()
        process.wait(timeout=20)


@dataclass
class Element:
    """An element of a page."""

    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    text: str = ""


class Document(HTMLParser):
    """A page taken apart: its elements with their attributes and text; tags must be closed in order."""

    _VOID = ("meta", "link", "img", "input", "br")

    def __init__(self, page: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(page)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        if tag not in self._VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements with a tag and attributes (`class_` for class), in the page's order."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [e for e in self.elements if e.tag == tag and wanted.items() <= e.attributes.items()]

    def text(self) -> str:
        """Return what a reader sees: the text of the page's main part, white space drawn together."""
        (main,) = self.all("main")
        return " ".join(main.text.split())


@pytest.fixture
def document():
    return Document


@pytest.fixture
def run(write_run):
    return write_run
