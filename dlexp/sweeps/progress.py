"""One calm line for what is running: a live one on a terminal, now and then a plain one elsewhere."""

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as LiveLine
    from rich.progress import TaskID

SECONDS_BETWEEN_PLAIN_LINES = 10.0


class Progress:
    """Shows how far a sweep is: job i of n, what it is, its training loss, the time left.

    On a terminal the line is redrawn in place and gone at the end; in a file or CI finished jobs are counted
    in a plain line at most every ten seconds.
    """

    def __init__(self) -> None:
        self._total = 0
        self._finished = 0
        self._label = ""
        self._begun = time.monotonic()
        self._last_plain = self._begun
        self._live: LiveLine | None = None
        self._task: TaskID | None = None

    def begin(self, total: int) -> None:
        """Start showing ``total`` jobs."""
        self._total, self._finished = total, 0
        self._begun = self._last_plain = time.monotonic()
        if sys.stderr.isatty():
            self._live = self._make_live_line()
            self._task = self._live.add_task("starting", total=float(total), loss="")
            self._live.start()

    def start_job(self, label: str) -> None:
        """Say which job is next."""
        self._label = label

    def report(self, step: int, total_steps: int, loss: float) -> None:
        """Say how far the present job is; the callback that a job is given."""
        if self._live is not None and self._task is not None:
            self._live.update(
                self._task,
                completed=self._finished + step / max(total_steps, 1),
                description=self._where(self._finished + 1),
                loss=f"train loss {loss:.3g}",
            )

    def finish_job(self) -> None:
        """Count the present job as ended."""
        self._finished += 1
        now = time.monotonic()
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=float(self._finished))
        elif now - self._last_plain > SECONDS_BETWEEN_PLAIN_LINES and self._finished < self._total:
            left = (now - self._begun) / self._finished * (self._total - self._finished)
            print(f"{self._where(self._finished)}, about {left:.0f} s left", file=sys.stderr, flush=True)
            self._last_plain = now

    def end(self) -> None:
        """Take the line away."""
        if self._live is not None:
            self._live.stop()
        self._live = self._task = None

    def _where(self, job: int) -> str:
        label = f" ({self._label})" if self._label else ""
        return f"job {job} of {self._total}{label}"

    def _make_live_line(self) -> "LiveLine":
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as LiveLine

        return LiveLine(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(stderr=True),
            transient=True,
        )
