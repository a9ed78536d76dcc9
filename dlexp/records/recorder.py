"""What one job measures: metrics.csv, arrays.npz, figures, and the job's Lightning loggers."""

import io
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from pytorch_lightning.loggers import Logger

from dlexp.records.files import write_atomically
from dlexp.records.run import Row, write_arrays, write_metrics
from dlexp.records.tensorboard import RunTensorBoard

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Recorder:
    """Collects a job's metrics, arrays and figures; passes metrics on to its loggers as they come.

    Files are written by :meth:`write`, whole. ``final`` holds the last value of each metric, finite or not: a
    metric that ended undefined has no earlier value in its place.
    """

    def __init__(self, loggers: Sequence[Logger] = ()) -> None:
        self.loggers = list(loggers)
        self.final: dict[str, float] = {}
        self._rows: list[Row] = []
        self._arrays: dict[str, np.ndarray] = {}
        self._figures: dict[str, tuple[int, bytes]] = {}

    def __getstate__(self) -> dict[str, object]:
        """Leave the loggers' open files out of a copy."""
        return {**vars(self), "loggers": []}

    def record(self, metrics: Mapping[str, float], *, step: int, epoch: int) -> None:
        """Add the values of metrics after ``step`` steps."""
        for name, value in metrics.items():
            self.final[name] = float(value)
            self._rows.append((step, epoch, name, self.final[name]))
        for logger in self.loggers:
            logger.log_metrics(dict(metrics), step=step)

    def series(self, name: str) -> tuple[list[int], list[float]]:
        """Return the steps at which a metric was recorded, and its values, a step's last one alone.

        >>> recorder = Recorder()
        >>> for step, value in ((0, 2.0), (5, 3.0), (5, 4.0)):
        ...     recorder.record({"test/loss": value}, step=step, epoch=0)
        >>> recorder.series("test/loss")
        ([0, 5], [2.0, 4.0])
        """
        found = {step: value for step, _, metric, value in self._rows if metric == name}
        return list(found), list(found.values())

    def record_array(self, name: str, values: ArrayLike) -> None:
        """Keep an array for arrays.npz under ``name``; a later one of that name replaces it."""
        self._arrays[name] = np.asarray(values)

    def record_figure(self, name: str, figure: "Figure", *, step: int) -> None:
        """Keep a figure, for figures/<name>.png and TensorBoard; a later one of that name replaces it."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150)
        self._figures[name] = (step, buffer.getvalue())

    def attach(self, loggers: Sequence[Logger]) -> None:
        """Add loggers, and give them what was recorded before they came."""
        for logger in loggers:
            for step, rows in groupby(self._rows, key=lambda row: row[0]):
                logger.log_metrics({name: value for _, _, name, value in rows}, step=step)
        self.loggers += loggers

    def write(self, folder: Path) -> None:
        """Write metrics.csv (long: step, epoch, name, value), arrays.npz and figures into a run's folder."""
        write_metrics(folder, self._rows)
        if self._arrays:
            write_arrays(folder, self._arrays)
        for name, (step, png) in self._figures.items():
            write_atomically(folder / "figures" / f"{name.replace('/', '_')}.png", png)
            for logger in self.loggers:
                if isinstance(logger, RunTensorBoard):
                    logger.log_png(name, png, step=step)

    def end(self, well: bool) -> None:
        """Tell the loggers that the run has ended, well or not."""
        for logger in self.loggers:
            if isinstance(logger, RunTensorBoard):
                logger.end(well=well)
