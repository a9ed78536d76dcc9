"""What the tests of faults share: the process that commands are forked from, and commands by themselves."""

from tests.laws.conftest import processes as processes
