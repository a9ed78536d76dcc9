"""Long lists of cases: some in the quick tests, all in ``make test-all``."""

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(cases: Iterable[Any], every: int) -> list[Any]:
    """Return cases for ``parametrize``; all but each so many are marked ``slow``."""
    return [
        case if index % every == 0 else pytest.param(case, marks=pytest.mark.slow)
        for index, case in enumerate(cases)
    ]
