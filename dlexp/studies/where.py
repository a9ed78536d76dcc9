"""Selecting runs by their settings: the ``where`` of claims and figures."""

from collections.abc import Mapping
from typing import Any

from dlexp.studies.runs import Run
from dlexp.studies.summary import is_number


def matches(run: Run, where: Mapping[str, Any]) -> bool:
    """Return whether a run has these settings; a list means any of its values.

    Of a run without a result not all settings are known: those that are count.
    """
    keys = [key for key in where if run.has_result or key in run.config]
    return all(any(is_same(run.config.get(key), value) for value in _listed(where[key])) for key in keys)


def is_same(setting: Any, value: Any) -> bool:
    """Return whether a setting has a value: numbers by size (5 is 5.0), True and False are none."""
    return is_number(setting) == is_number(value) and bool(setting == value)


def _listed(wanted: Any) -> "list[Any] | tuple[Any, ...]":
    return wanted if isinstance(wanted, list | tuple) else [wanted]
