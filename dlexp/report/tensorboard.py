"""A sweep's figures as images in TensorBoard, written without torch."""

import io
import struct
import time
from collections.abc import Sequence
from pathlib import Path

from dlexp.records.files import write_atomically


def write_images(images: Sequence[Path], folder: Path, step: int) -> Path | None:
    """Write PNG files as TensorBoard images named ``sweep/<file name>`` into one events file of `folder`.

    The file takes the place of the one that an earlier call wrote. Its name is new each time: a running
    TensorBoard takes up new files, but does not read one that it knows from the start again. Returns its
    path, or None if there are no images.
    """
    earlier = sorted(folder.glob("events.out.tfevents.*.sweep"))
    path = None
    if images:
        now = time.time_ns()
        # TensorBoard reads a folder's files in the order of their names.
        path = folder / f"events.out.tfevents.{now // 10**9:010d}.{now % 10**9:09d}.sweep"
        write_atomically(path, _events(images, step, now / 1e9))
    for old in earlier:
        old.unlink(missing_ok=True)
    return path


def _events(images: Sequence[Path], step: int, wall_time: float) -> bytes:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    writer.write(Event(wall_time=wall_time, file_version="brain.Event:2").SerializeToString())
    for image in images:
        content = image.read_bytes()
        width, height = struct.unpack(">II", content[16:24])  # of a PNG's first chunk
        value = Summary.Value(
            tag=f"sweep/{image.stem}",
            image=Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=content),
        )
        event = Event(wall_time=wall_time, step=step, summary=Summary(value=[value]))
        writer.write(event.SerializeToString())
    return buffer.getvalue()
