"""Figures are drawn but not saved in the tests of the callbacks."""

import pytest

from dlexp.records.recorder import Recorder


@pytest.fixture(autouse=True)
def _figures_are_not_saved(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Draw figures, but save only those of tests that have `figure` in their name: saving takes longest."""
    if "figure" not in request.node.name:
        monkeypatch.setattr(Recorder, "record_figure", lambda *_, **__: None)
