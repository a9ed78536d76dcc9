"""Panels to draw into, in dlexp's look."""

from collections.abc import Iterator
from typing import Any

import pytest

from dlexp.plots import look
from dlexp.plots.page import new_page


@pytest.fixture(autouse=True)
def in_dlexps_look() -> Iterator[None]:
    with look():
        yield


@pytest.fixture
def axes() -> Any:
    return new_page()[1][0]
