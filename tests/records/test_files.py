import os
import threading
from pathlib import Path

import pytest

from dlexp.records.files import write_atomically


def test_writes_text_and_bytes_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    assert write_atomically(path, "± one\n") == path
    assert path.read_bytes() == "± one\n".encode()
    write_atomically(str(path), b"\x00\x01")
    assert path.read_bytes() == b"\x00\x01"


def test_permissions_follow_the_umask_as_for_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    mode = write_atomically(tmp_path / "atomic", "").stat().st_mode
    assert mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = write_atomically(tmp_path / "result.json", "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_sees_one_whole_content_whoever_writes(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    contents = [letter * 300_000 for letter in "abc"]
    write_atomically(path, contents[0])
    stop = threading.Event()

    def write(content: str) -> None:
        while not stop.is_set():
            write_atomically(path, content)

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    seen = {path.read_text() for _ in range(200)}
    stop.set()
    for writer in writers:
        writer.join()
    assert seen <= set(contents)
    assert list(tmp_path.iterdir()) == [path]
