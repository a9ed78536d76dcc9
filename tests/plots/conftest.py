"""Panels to draw into, in dlexp's look."""

import pytest

from dlexp.plots import look
from dlexp.plots.page import new_page


@pytest.fixture(autouse=True)
def in_dlexps_look():
    with look():
        yield


@pytest.fixture
def axes():
    return new_page()[1][0]
