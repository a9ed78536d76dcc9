"""The gallery: no older than the settings of the studies that it shows."""

import json
from pathlib import Path

import pytest

from dlexp.cli.gallery import settings_digests
from dlexp.report.gallery import gallery_text

REPOSITORY = Path(__file__).resolve().parents[2]
GALLERY = REPOSITORY / "outputs" / "gallery"


@pytest.fixture(scope="module")
def entries():
    return json.loads((GALLERY / "gallery.json").read_text())


def test_every_study_is_shown_as_it_is_set_now(entries):
    shown = {name: entry["settings"] for name, entry in entries.items()}
    assert shown == settings_digests(), "run `make gallery`"


def test_the_page_shows_what_the_gallery_holds(entries):
    assert (REPOSITORY / "docs" / "gallery.md").read_text(encoding="utf-8") == gallery_text(entries)
    for entry in entries.values():
        assert (GALLERY / entry["figure"]).stat().st_size > 10_000


def test_no_study_is_shown_from_a_quick_look(entries):
    assert all("debug" not in entry["command"] for entry in entries.values())
