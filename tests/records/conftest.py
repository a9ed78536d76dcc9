"""Runs as a sweep leaves them on disk, without running one."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def run(write_run: Callable[..., Path]) -> Callable[..., Path]:
    return write_run
