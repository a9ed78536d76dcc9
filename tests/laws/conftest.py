"""The process that is forked for each job or command, one for all laws."""

from collections.abc import Iterator

import pytest

from tests.laws.processes import Processes


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    """Return what runs jobs in fresh processes."""
    server = Processes()
    yield server
    server.close()
