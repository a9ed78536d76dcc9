"""Figures inside a page, as data URIs: nothing is fetched, and no figure's ids meet another's."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

_MOST_SVG_BYTES = 300_000  # beyond this, many single points, the PNG is smaller and drawn faster
_THUMBNAIL_WIDTH = 480  # pixels: sharp at 240 CSS pixels on a phone


@dataclass(frozen=True)
class Drawn:
    """A figure on disk: `path` is the PNG, the SVG of the same name lies beside it.

    One that could not be drawn has a `problem`, a sentence, and no files.
    """

    name: str
    title: str
    caption: str
    path: Path
    problem: str | None = None


def embedded(figure: Drawn) -> str:
    """Return the figure as a data URI: the SVG if there is one of moderate size, else the PNG.

    Raises:
        OSError: the figure cannot be read.
    """
    drawing = figure.path.with_suffix(".svg")
    if drawing.exists() and drawing.stat().st_size <= _MOST_SVG_BYTES:
        return _data_uri("image/svg+xml", drawing.read_bytes())
    return _data_uri("image/png", figure.path.read_bytes())


def thumbnail(figure: Drawn) -> str:
    """Return a small copy of the figure as a data URI.

    Raises:
        OSError: the figure cannot be read.
    """
    from PIL import Image  # comes with matplotlib

    with Image.open(figure.path) as image:
        height = max(1, round(image.height * _THUMBNAIL_WIDTH / image.width))
        small = image.convert("RGB").resize((_THUMBNAIL_WIDTH, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.quantize(64).save(buffer, format="PNG", optimize=True)
    return _data_uri("image/png", buffer.getvalue())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
