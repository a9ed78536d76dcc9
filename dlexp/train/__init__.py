"""Training: members, ensembles, engines. Called, ``dlexp.train(config)`` trains one network."""

import sys
from collections.abc import Mapping
from os import PathLike
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlexp.records.run import Run


class _Train(ModuleType):
    """Makes the package what ``dlexp.train`` is in Python's interface: a function of a configuration."""

    def __call__(self, config: Mapping[str, Any], folder: str | PathLike[str] | None = None) -> "Run":
        """See :func:`dlexp.train.one.train`."""
        from dlexp.train.one import train

        return train(config, folder)


sys.modules[__name__].__class__ = _Train
