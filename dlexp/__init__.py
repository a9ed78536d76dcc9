"""dlexp: claims of deep-learning theory as experiments anyone can re-run, sweep and check."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlexp.results.table import load_runs

__all__ = ["load_runs"]


def __getattr__(name: str) -> Any:
    # Imported when asked for, so that `import dlexp` stays light.
    if name == "load_runs":
        from dlexp.results.table import load_runs

        return load_runs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
