"""The jobs of a sweep made of arms: several sweeps under one question, each with settings of its own."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from omegaconf import DictConfig, OmegaConf

from dlexp.config.errors import ConfigError, not_allowed

ARM = "arm"
MOST_JOBS = 10**6


class ArmError(ConfigError):
    """Arms that cannot be swept; the message is one sentence."""


def sweep_overrides(master: DictConfig, command_line: Sequence[str], loader: ConfigLoader) -> list[list[str]]:
    """Return the overrides of each job of a sweep, those of a study's arms if it has any.

    Args:
        master: the sweep's configuration; its ``hydra.sweeper.params`` stand before the command line.
        command_line: the overrides, with sweeps among them.
        loader: Hydra's.

    Raises ``ArmError`` for what makes no list of jobs.
    """
    parser = OverridesParser.create(config_loader=loader)
    params = [f"{key}={value}" for key, value in (master.hydra.sweeper.get("params") or {}).items()]
    study: Any = OmegaConf.to_container(master.study, resolve=True) or {}
    arms = study.get("arms") or {}
    given = parser.parse_overrides(list(command_line))
    is_fast = master.hydra.runtime.choices.get("debug") == "fast"
    names: list[str | None] = [*select_arms(arms, given)]
    return [
        job
        for name in names or [None]
        for job in expand_arm(
            name,
            common=parser.parse_overrides(params),
            own=parser.parse_overrides(overrides_of(arms.get(name))),
            fast=parser.parse_overrides(overrides_of(study.get("fast"))) if is_fast else [],
            command_line=given,
        )
    ]


def override_text(key: str, value: Any) -> str:
    """Return ``key=value`` in Hydra's syntax; text is taken as such syntax (``1,2,5``, ``range(5)``)."""
    return f"{key}={_value_text(value)}"


def _value_text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(map(_value_text, value))}]"
    return str(value)


def select_arms(names: Iterable[str], command_line: Sequence[Override]) -> list[str]:
    """Return the arms to run: all of them, or those that ``arm=...`` on the command line names.

    Raises ``ArmError`` for one that does not exist.
    """
    names = list(names)
    asked = [override for override in command_line if _key(override) == ARM]
    if not asked:
        return names
    last = asked[-1]
    chosen = list(last.sweep_string_iterator()) if last.is_sweep_override() else [str(last.value())]
    unknown = [name for name in chosen if name not in names]
    if unknown:
        allowed = f"one of {', '.join(names)}" if names else "left out: this sweep has no arms"
        raise ArmError(not_allowed(ARM, ",".join(unknown), allowed, names))
    return chosen


def expand_arm(
    name: str | None,
    *,
    common: Sequence[Override],
    own: Sequence[Override],
    fast: Sequence[Override],
    command_line: Sequence[Override],
) -> list[list[str]]:
    """Return the overrides of each job of one arm: the product of what is swept.

    Of a key's values the last given counts: ``common`` (all arms), the arm's ``own``, ``fast``, then the
    command line. But what an arm fixes to one value is what makes it that arm: the command line leaves it.
    Several values in ``fast`` take the place of several values only.

    Raises ``ArmError`` for a continuous range (``interval(0,1)``), which has no list of values.
    """
    fixed = {_key(override) for override in own if not override.is_sweep_override()}
    merged: dict[str, Override] = {}
    for override in (*common, *own):
        merged[_key(override)] = override
    swept = {key for key, override in merged.items() if override.is_sweep_override()}
    for override in fast:
        if _key(override) in swept or not override.is_sweep_override():
            merged[_key(override)] = override
    for override in command_line:
        if _key(override) not in fixed and _key(override) != ARM:
            merged[_key(override)] = override
    values = [[f"{ARM}={name}"]] if name is not None else []
    values += [_values(override) for override in merged.values()]
    count = math.prod(map(len, values))
    if count > MOST_JOBS:
        raise ArmError(f"A sweep of {count} jobs is not allowed: it must be of at most {MOST_JOBS}.")
    return [list(job) for job in product(*values)]


def _values(override: Override) -> list[str]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise ArmError(f"{override.input_line} is not allowed: a sweep needs a list of values.")
    swept = override.value()
    if isinstance(swept, RangeSweep) and not _has_an_end(swept):
        allowed = f"at most {MOST_JOBS} values, and a step that is not 0"
        raise ArmError(f"{override.input_line} is not allowed: a range has {allowed}.")
    values = [f"{key}={value}" for value in override.sweep_string_iterator()]
    if not values:
        raise ArmError(f"{override.input_line} is not allowed: it has no values.")
    return values


def _has_an_end(swept: RangeSweep) -> bool:
    start, stop, step = (float(bound or 0) for bound in (swept.start, swept.stop, swept.step))
    return step != 0 and (stop - start) / step <= MOST_JOBS


def _key(override: Override) -> str:
    return override.get_key_element().lstrip("+~")


def overrides_of(settings: Mapping[str, Any] | None) -> list[str]:
    """Return an arm's settings as override texts."""
    return [override_text(str(key), value) for key, value in (settings or {}).items()]
