"""What is shown of a sweep while it runs: seldom a plain line, on a terminal a live one."""

import io

import pytest

from dlexp.launch import progress as module
from dlexp.launch.progress import Progress


class Clock:
    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_a_plain_line_now_and_then_says_where_and_how_long(clock, capsys):
    progress = Progress()
    progress.begin(10)
    progress.start("finished", 2)
    progress.finish()
    progress.start("at once", 4)
    for step in range(0, 101, 10):
        clock.now += 2.0
        progress.report(step, 100, 0.5)
    progress.finish()
    progress.start("model.width=5")
    clock.now += 11.0
    progress.report(1, 2, 0.1)
    progress.end()
    assert capsys.readouterr().err.splitlines() == [
        "jobs 3 to 6 of 10 (at once), about 18 s left",
        "job 7 of 10 (model.width=5), about 18 s left",
    ]


def test_nothing_is_shown_before_anything_is_done_or_when_all_is(clock, capsys):
    progress = Progress()
    progress.begin(1)
    progress.start("")
    clock.now = 100.0
    progress.report(0, 10, 0.5)
    progress.report(10, 10, 0.5)
    progress.finish()
    progress.end()
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_the_line_is_live_and_gone_at_the_end(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    progress = Progress()
    progress.begin(2)
    progress.start("seed=1")
    progress.report(1, 2, 0.25)
    progress._live.refresh()
    assert "job 1 of 2 (seed=1)" in terminal.getvalue()
    assert "train loss 0.25" in terminal.getvalue()
    progress.end()
    assert terminal.getvalue().endswith("\x1b[2K") or "\x1b[1A\x1b[2K" in terminal.getvalue()
