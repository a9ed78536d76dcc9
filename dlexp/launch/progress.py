"""One calm line for what is running: a live one on a terminal, now and then a plain one elsewhere."""

import math
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as LiveLine
    from rich.progress import TaskID

SECONDS_BETWEEN_PLAIN_LINES = 10.0


class Progress:
    """Shows how far a sweep is: job i of n, what it is, its training loss, the time left.

    On a terminal the line is redrawn in place and gone at the end; in a file or CI there is a plain line at
    most every ten seconds. Jobs trained at once count as so many.
    """

    def __init__(self) -> None:
        self._total = 0
        self._finished = 0
        self._at_once = 1
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

    def start(self, label: str, jobs: int = 1) -> None:
        """Say which job is next, or which ``jobs`` are at once."""
        self._label, self._at_once = label, jobs

    def report(self, step: int, total_steps: int, loss: float) -> None:
        """Say how far what was started is; the function that a job is given. A NaN loss is not shown."""
        self._show(self._finished + self._at_once * step / max(total_steps, 1), loss)

    def finish(self) -> None:
        """Count what was started as ended."""
        self._finished += self._at_once
        self._at_once = 1
        self._show(float(self._finished), math.nan)

    def _show(self, completed: float, loss: float) -> None:
        now = time.monotonic()
        if self._live is not None and self._task is not None:
            shown = "" if math.isnan(loss) else f"train loss {loss:.3g}"
            self._live.update(self._task, completed=completed, description=self._where(), loss=shown)
        elif now - self._last_plain > SECONDS_BETWEEN_PLAIN_LINES and 0 < completed < self._total:
            left = (now - self._begun) / completed * (self._total - completed)
            print(f"{self._where()}, about {left:.0f} s left", file=sys.stderr, flush=True)
            self._last_plain = now

    def end(self) -> None:
        """Take the line away."""
        if self._live is not None:
            self._live.stop()
        self._live = self._task = None

    def _where(self) -> str:
        first = min(self._finished + 1, self._total)
        jobs = f"jobs {first} to {first + self._at_once - 1}" if self._at_once > 1 else f"job {first}"
        label = f" ({self._label})" if self._label else ""
        return f"{jobs} of {self._total}{label}"

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
