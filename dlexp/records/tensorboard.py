"""TensorBoard for a run's own folder."""

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import Status
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboard.summary.writer.record_writer import RecordWriter

from dlexp.config.schema import Config

SECONDS_BETWEEN_FLUSHES = 10.0
_file_numbers = count()


class EventFile:
    """An events file in a run's folder, written by the caller's own thread.

    torch's writer starts a thread for each file, which takes longer than a small job's whole training. Events
    are on disk after :meth:`flush`, and when ten seconds have passed since the last one.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_file_numbers)}"
        self._file = RecordWriter((folder / f"events.out.tfevents.{name}").open("xb"))
        self._flushed = time.monotonic()
        self.add(file_version="brain.Event:2")

    def add(self, **content: Any) -> None:
        """Write an event; the arguments are the fields of TensorBoard's ``Event``."""
        self._file.write(Event(wall_time=time.time(), **content).SerializeToString())
        if time.monotonic() - self._flushed > SECONDS_BETWEEN_FLUSHES:
            self.flush()

    def flush(self) -> None:
        """Hand the events to the system, for TensorBoard to see."""
        self._file.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Write what is left."""
        self._file.close()


class RunTensorBoard(TensorBoardLogger):
    """Lightning's TensorBoard logger, writing its events straight into the run's folder.

    The metrics of a step go into one event instead of one each, and there is no ``hparams.yaml``
    (result.json holds the configuration): together these took a third of a small job. The file stays open
    until :meth:`end`, so that what is known only after the fit does not open a second one; what a callback
    of one's own writes with torch's writer, the logger's ``experiment``, goes into one beside it.

    In the HPARAMS tab a run is a session: the settings it began with and how it ended. TensorBoard works out
    the columns from all runs that it is shown: settings that differ come first, and every scalar is a metric,
    by its last value. torch and Lightning declare the columns in each run instead, of which TensorBoard takes
    those of an arbitrary one for all.
    """

    def __init__(self, save_dir: str | Path) -> None:
        super().__init__(save_dir, name="", version="", default_hp_metric=False)
        self._has_begun = False
        self._events: EventFile | None = None

    @property
    def experiment(self) -> Any:
        """torch's ``SummaryWriter``, made on first use: Lightning touches it before each fit."""
        return _OnUse(lambda: super(RunTensorBoard, self).experiment)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write scalars, one value for each metric."""
        values = [Summary.Value(tag=name, simple_value=float(value)) for name, value in metrics.items()]
        self._add(Summary(value=values), step)

    def log_hyperparams(self, params: Any, metrics: Any = None, step: int | None = None) -> None:
        """Begin the session with the leaves of ``params``, None left out, as settings.

        Only the first call counts: Lightning comes with the module's own arguments later.
        """
        if self._has_begun:
            return
        self._has_begun = True
        session = SessionStartInfo(start_time_secs=time.time())
        for name, value in _leaves(params).items():
            if name in _keys_of_several_types():
                session.hparams[name].string_value = str(value)
            elif isinstance(value, bool):
                session.hparams[name].bool_value = value
            elif isinstance(value, int | float):
                session.hparams[name].number_value = value
            else:
                session.hparams[name].string_value = str(value)
        self._add_session(metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=session))

    def log_png(self, name: str, png: bytes, step: int) -> None:
        """Write an image."""
        width, height = struct.unpack(">II", png[16:24])  # of a PNG's first chunk
        image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
        self._add(Summary(value=[Summary.Value(tag=name, image=image)]), step)

    def save(self) -> None:
        """Flush the events to disk."""
        if self._events is not None:
            self._events.flush()
        if self._experiment is not None:
            self._experiment.flush()

    def finalize(self, status: str) -> None:
        """Flush; more may come until :meth:`end`."""
        self.save()

    def end(self, well: bool) -> None:
        """Say that the run has ended, well or not, and close the file."""
        status = Status.Value("STATUS_SUCCESS" if well else "STATUS_FAILURE")
        session = SessionEndInfo(status=status, end_time_secs=time.time())
        self._add_session(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=session))
        for file in (self._events, self._experiment):
            if file is not None:
                file.close()
        self._events = self._experiment = None

    def _add_session(self, tag: str, content: Any) -> None:
        value = Summary.Value(tag=tag, metadata=metadata.create_summary_metadata(content))
        self._add(Summary(value=[value]), None)

    def _add(self, summary: Any, step: int | None) -> None:
        if self._events is None:
            self._events = EventFile(Path(self.log_dir))
        self._events.add(summary=summary, step=step)


@cache
def _keys_of_several_types() -> frozenset[str]:
    """Return the settings that may be numbers in one run and words in another (``batch_size=full,10``).

    TensorBoard takes a column of two types for one, and hides the runs of the other.
    """

    def keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
        for name, field in model.model_fields.items():
            key = f"{prefix}{field.alias or name}"
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from keys(field.annotation, f"{key}.")
                continue
            kinds = {get_origin(kind) or kind for kind in get_args(field.annotation)} - {type(None)}
            if len(kinds - {float}) > 1:
                yield key

    return frozenset(keys(Config, ""))


class _OnUse:
    """Stands for an object that is made when something of it is asked for."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            leaves |= _leaves(value, f"{prefix}{key}.")
        elif value is not None:
            leaves[f"{prefix}{key}"] = value
    return leaves
