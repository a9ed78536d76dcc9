"""Leases: one holder at a time, taken over when the holder is gone, on any file system."""

import os
import socket
import subprocess
import sys
import time

import pytest

from dlexp.records import lease

TAKER = """
import sys, time
from pathlib import Path
from dlexp.records import lease
taken = [name for name in sys.argv[2:] if lease.take(Path(sys.argv[1], name))]
print(*taken, flush=True)
time.sleep(3)
"""


@pytest.fixture(autouse=True)
def _nothing_held():
    yield
    for marker in list(lease._held):
        lease.release(marker.parent)


def test_of_several_processes_each_job_has_one(tmp_path):
    names = [f"job{i}" for i in range(40)]
    for name in names:
        (tmp_path / name).mkdir()
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, str(tmp_path), *names], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    taken = [name for taker in takers for name in taker.communicate()[0].split()]
    assert sorted(taken) == sorted(names)


def test_a_holder_that_died_is_followed(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", TAKER, str(tmp_path.parent), tmp_path.name])
    while not (tmp_path / lease.MARKER).exists():
        time.sleep(0.05)
    assert not lease.take(tmp_path)
    assert not lease.was_left_behind(tmp_path)
    dead.kill()
    dead.wait()
    assert lease.was_left_behind(tmp_path)
    assert lease.take(tmp_path)


def test_a_holder_on_another_machine_is_followed_when_its_heart_stops(tmp_path):
    marker = tmp_path / lease.MARKER
    marker.write_text("another-machine 1 1")
    assert not lease.take(tmp_path)
    stopped = time.time() - lease.STALE_S - 1
    os.utime(marker, (stopped, stopped))
    assert lease.take(tmp_path)


def test_a_process_of_the_same_number_is_not_the_same(tmp_path):
    (tmp_path / lease.MARKER).write_text(f"{socket.gethostname()} {os.getppid()} 1")
    assert lease.was_left_behind(tmp_path)


def test_held_markers_are_refreshed(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(lease, "_heart", None)
    assert lease.take(tmp_path)
    marker = tmp_path / lease.MARKER
    os.utime(marker, (0, 0))
    deadline = time.monotonic() + 10
    while marker.stat().st_mtime == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert marker.stat().st_mtime > 0


def test_a_thousand_leases_need_no_open_files(tmp_path):
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    folders = [tmp_path / str(i) for i in range(1000)]
    for folder in folders:
        folder.mkdir()
        assert lease.take(folder)
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after <= before + 2
