"""A job's log: ``train.log`` in its folder, whoever else runs in the same process."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JobLog(logging.Handler):
    """Collects what is logged while it is active, and writes it to ``train.log``.

    Lines are kept until :meth:`flush`, so that many jobs in one process need no open files.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter(FORMAT))
        self.path = folder / "train.log"
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self._lines.append(self.format(record))

    def flush(self) -> None:
        """Append what was kept to the file."""
        if self._lines:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n".join([*self._lines, ""]))
            self._lines.clear()

    def discard(self) -> None:
        """Forget what was kept: Python flushes every handler at its end."""
        self._lines.clear()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Receive what is logged, by anyone, for as long as the context lasts."""
        root = logging.getLogger()
        if self in root.handlers:
            yield
            return
        root.addHandler(self)
        try:
            yield
        finally:
            root.removeHandler(self)


@contextlib.contextmanager
def info_logged() -> Iterator[None]:
    """Let the root logger pass on what is logged at INFO for as long as the context lasts."""
    root = logging.getLogger()
    level = root.level
    if level != logging.INFO:  # a change of level takes all loggers' time
        root.setLevel(logging.INFO)
    try:
        yield
    finally:
        if level != logging.INFO:
            root.setLevel(level)
