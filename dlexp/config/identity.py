"""The identity of a run: which jobs are the same job, and what their folder is called."""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# What a result does not depend on: where it goes, how it is shown, what is asked of it afterwards.
WITHOUT_EFFECT = ("name", "rerun", "objective", "logger", "study", "hydra")
# Overrides that say nothing about a run which its folder's name should repeat.
UNNAMED = ("name", "rerun", "objective", "logger", "study", "debug", "seed")


def identity(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of everything in a resolved configuration that affects the result.

    Keys set to None are left out: a setting added later, with None for 'as before', then leaves the identity
    of every finished run as it was.
    """
    relevant = {key: value for key, value in config.items() if key not in WITHOUT_EFFECT}
    if "trainer" in relevant:  # over how many devices a sweep spreads its jobs is no matter of the jobs
        relevant["trainer"] = {k: v for k, v in relevant["trainer"].items() if k != "devices"}
    text = json.dumps(_without_none(relevant), sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def replicates_key(config: Mapping[str, Any]) -> str:
    """Return a resolved configuration without its seeds as text: equal for replicates of one setting."""
    return json.dumps(_without_seeds(config), sort_keys=True, default=str)


def _without_seeds(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _without_seeds(v) for k, v in value.items() if not str(k).endswith("seed")}
    if isinstance(value, list | tuple):
        return [_without_seeds(v) for v in value]
    return value


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_without_none(v) for v in value]
    return value


def run_id(config: Mapping[str, Any], overrides: Sequence[str]) -> str:
    """Return the name of a run's folder, such as ``width=50,seed=0-6066020e``.

    What was overridden (by the last part of its key) and the seed make it readable, eight digits of the
    identity make it injective.
    """
    named: dict[str, str] = {}
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if key.split(".")[0] in (*UNNAMED, "hydra") or key.startswith("hydra/"):
            continue
        named[key] = value
    last_parts = [key.rsplit(".", 1)[-1] for key in named]
    parts = []
    for (key, value), last in zip(named.items(), last_parts, strict=True):
        label = key if last_parts.count(last) > 1 or last == "seed" else last
        parts.append(f"{label}={value}")
    parts.append(f"seed={config['seed']}")
    readable = ",".join(_safe(part) for part in parts)
    if len(readable) > 120:  # file systems allow 255 bytes, people read fewer
        readable = readable[:120].rstrip(",")
    return f"{readable}-{identity(config)[:8]}"


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.=+-]", "_", text)[:60]


def run_folder_name(config: Mapping[str, Any], overrides: Sequence[str], parent: Path) -> str:
    """Return the name of this run's folder in ``parent``: that of its finished run if there is one.

    The same settings may be reached by other overrides (``lr=0.01`` typed out or left as the default); the
    readable part of the name then differs, the run does not.
    """
    name = run_id(config, overrides)
    if (parent / name / "result.json").exists() or not parent.is_dir():
        return name
    digest = identity(config)
    for other in os.listdir(parent):
        if not other.endswith(f"-{digest[:8]}"):
            continue
        try:
            stored = json.loads((parent / other / "result.json").read_text())
        except (OSError, ValueError):
            continue
        if stored.get("identity") == digest and stored.get("status") in ("done", "diverged"):
            return other
    return name
