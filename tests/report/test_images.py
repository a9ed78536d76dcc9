import base64
import io

import pytest

from dlexp.report.images import embedded, thumbnail


def decoded(uri: str) -> tuple[str, bytes]:
    kind, _, content = uri.partition(";base64,")
    return kind, base64.b64decode(content)


def test_the_svg_is_embedded_as_it_is_on_disk(tmp_path, figure):
    made = figure(tmp_path)
    assert decoded(embedded(made)) == ("data:image/svg+xml", made.path.with_suffix(".svg").read_bytes())


def test_a_large_or_absent_svg_gives_way_to_the_png(tmp_path, figure):
    made = figure(tmp_path)
    drawing = made.path.with_suffix(".svg")
    drawing.write_bytes(b" " * 300_001)
    assert decoded(embedded(made)) == ("data:image/png", made.path.read_bytes())
    drawing.unlink()
    assert decoded(embedded(made)) == ("data:image/png", made.path.read_bytes())
    made.path.unlink()
    with pytest.raises(FileNotFoundError):
        embedded(made)


def test_a_thumbnail_is_small_and_keeps_its_proportions(tmp_path, figure):
    from PIL import Image

    made = figure(tmp_path)  # 900 x 450 pixels
    kind, content = decoded(thumbnail(made))
    assert kind == "data:image/png"
    with Image.open(io.BytesIO(content)) as small:
        assert small.size == (480, 240)
        assert small.convert("L").getpixel((0, 0)) == 255
    assert thumbnail(made) == thumbnail(made)
