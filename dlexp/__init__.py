"""dlexp: claims of deep-learning theory as experiments anyone can re-run, sweep and check."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlexp.config.errors import ConfigError
    from dlexp.interface import Sweep, compose, load, study, sweep
    from dlexp.results.table import load_runs
    from dlexp.train.one import train

    __version__: str

# Imported when asked for, so that `import dlexp` stays light.
_HOMES = {
    "ConfigError": "dlexp.config.errors",
    "load_runs": "dlexp.results.table",
    **dict.fromkeys(("Sweep", "compose", "load", "study", "sweep"), "dlexp.interface"),
    "train": "dlexp.train.one",
}

__all__ = ["ConfigError", "Sweep", "__version__", "compose", "load", "load_runs", "study", "sweep", "train"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("dlexp")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
