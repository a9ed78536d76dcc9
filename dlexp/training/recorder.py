"""What one job measures: metrics.csv, arrays.npz, figures, and the job's Lightning loggers."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from pytorch_lightning.loggers import Logger, TensorBoardLogger

from dlexp.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Recorder:
    """Collects a job's metrics, arrays and figures; passes metrics on to its loggers as they come.

    Files are written by :meth:`write`, whole. ``final`` holds the last finite value of each metric.
    """

    def __init__(self, folder: Path, loggers: Sequence[Logger] = ()) -> None:
        self.folder = folder
        self.loggers = list(loggers)
        self.final: dict[str, float] = {}
        self._rows: list[tuple[int, int, str, float]] = []
        self._arrays: dict[str, np.ndarray] = {}

    def record(self, metrics: Mapping[str, float], *, step: int, epoch: int) -> None:
        """Add the values of metrics after ``step`` steps; one that is not finite is not kept as final."""
        for name, value in metrics.items():
            number = float(value)
            self._rows.append((step, epoch, name, number))
            if math.isfinite(number):
                self.final[name] = number
        for logger in self.loggers:
            logger.log_metrics(dict(metrics), step=step)

    def record_array(self, name: str, values: ArrayLike) -> None:
        """Keep an array for arrays.npz under ``name``; a later one of that name replaces it."""
        self._arrays[name] = np.asarray(values)

    def record_figure(self, name: str, figure: "Figure", *, step: int) -> None:
        """Save a figure as figures/<name>.png and show it in TensorBoard as an image, then close it."""
        import matplotlib.pyplot as plt

        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150)
        path = self.folder / "figures" / f"{name.replace('/', '_')}.png"
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, buffer.getvalue())
        for logger in self.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_figure(name, figure, global_step=step, close=False)
        plt.close(figure)

    def write(self) -> None:
        """Write metrics.csv (long: step, epoch, name, value) and, if there are any, arrays.npz."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("step", "epoch", "name", "value"))
        writer.writerows(self._rows)
        write_atomically(self.folder / "metrics.csv", text.getvalue())
        if self._arrays:
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **self._arrays)  # type: ignore[arg-type]
            write_atomically(self.folder / "arrays.npz", buffer.getvalue())
