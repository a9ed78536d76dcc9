"""TensorBoard for a run's own folder."""

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import Status
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from torch.utils.tensorboard.summary import hparams

FINAL_METRICS = ("train/loss", "test/loss", "model/parameters")
FINAL_ERRORS = ("train/error", "test/error")


class RunTensorBoard(TensorBoardLogger):
    """Lightning's TensorBoard logger, writing its events straight into the run's folder.

    The metrics of a step go into one event instead of one each, and there is no ``hparams.yaml``
    (result.json holds the configuration): together these took a third of a small job. The file stays open
    until :meth:`end`, so that what is known only after the fit does not open a second one.
    """

    def __init__(self, save_dir: str | Path) -> None:
        super().__init__(save_dir, name="", version="", default_hp_metric=False)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write scalars, one value for each metric."""
        values = [Summary.Value(tag=name, simple_value=float(value)) for name, value in metrics.items()]
        self._add(Summary(value=values), step)

    def log_hyperparams(self, params: Any, metrics: Any = None, step: int | None = None) -> None:
        """Show settings and final metrics in the HPARAMS tab.

        The metrics are declared by name; the tab follows the last scalar of each.
        """
        names: tuple[str, ...] = FINAL_METRICS
        if params.get("data", {}).get("task") == "classification":
            names += FINAL_ERRORS
        experiment, session_start, _ = hparams(_flatten(params), dict.fromkeys(names, math.nan))
        self._add(experiment, None)
        self._add(session_start, None)

    def log_png(self, name: str, png: bytes, step: int) -> None:
        """Write an image."""
        width, height = struct.unpack(">II", png[16:24])  # of a PNG's first chunk
        image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
        self._add(Summary(value=[Summary.Value(tag=name, image=image)]), step)

    def save(self) -> None:
        """Flush the events to disk."""
        self.experiment.flush()

    def finalize(self, status: str) -> None:
        """Flush; more may come until :meth:`end`."""
        self.save()

    def end(self, well: bool) -> None:
        """Say that the run has ended, well or not, and close the file."""
        info = SessionEndInfo(status=Status.Value("STATUS_SUCCESS" if well else "STATUS_FAILURE"))
        content = HParamsPluginData(session_end_info=info, version=metadata.PLUGIN_DATA_VERSION)
        plugin = SummaryMetadata.PluginData(
            plugin_name=metadata.PLUGIN_NAME, content=content.SerializeToString()
        )
        value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=SummaryMetadata(plugin_data=plugin))
        self._add(Summary(value=[value]), None)
        self.experiment.close()

    def _add(self, summary: Any, step: int | None) -> None:
        self.experiment._get_file_writer().add_summary(summary, step)


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, bool | int | float | str) else str(value)
    return flat
