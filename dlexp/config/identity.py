"""The identity of a run: which jobs are the same job, and what their folder is called."""

import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# What a result does not depend on: where it goes, how it is shown, what is asked of it afterwards.
WITHOUT_EFFECT = ("name", "rerun", "objective", "records", "snapshot_minutes", "logger", "study", "hydra")
# Within a section: over how many devices a sweep spreads its jobs, which way of training takes a step.
WITHOUT_EFFECT_IN = {"trainer": ("devices",), "training": ("engine",)}
# Overrides that say nothing about a run which its folder's name should repeat.
UNNAMED = (*WITHOUT_EFFECT, "debug", "seed")

MOVED = {"dlexp.records.tensorboard.RunTensorBoard": "dlexp.training.tensorboard.RunTensorBoard"}
"""For a class or function that has moved, its path in the identity of runs: where version 0.1 had it."""


def identity(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of everything in a job's plain configuration that affects the result.

    It is of what YAML and overrides composed, before types convert anything. Keys set to None are left out: a
    setting added later, with None for 'as before', then leaves the identity of every finished run as it was.
    A class that has moved counts as where it was (``MOVED``).
    """
    relevant = {key: value for key, value in config.items() if key not in WITHOUT_EFFECT}
    for section, keys in WITHOUT_EFFECT_IN.items():
        if isinstance(relevant.get(section), Mapping):
            relevant[section] = {k: v for k, v in relevant[section].items() if k not in keys}
    text = json.dumps(_canonical(relevant), sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def current_target(target: Any) -> Any:
    """Return where the class or function that a ``_target_`` names stands, given where it stood or stands."""
    for now, before in MOVED.items():
        if target == before:
            return now
    return target


def replicates_key(config: Mapping[str, Any]) -> str:
    """Return a resolved configuration without its seeds as text: equal for replicates of one setting."""
    return json.dumps(_without_seeds(config), sort_keys=True, default=str)


def _without_seeds(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _without_seeds(v) for k, v in value.items() if not str(k).endswith("seed")}
    if isinstance(value, list | tuple):
        return [_without_seeds(v) for v in value]
    return value


def _canonical(value: Any) -> Any:
    """Return a value without what is None, the class of each object where it was first."""
    if isinstance(value, Mapping):
        kept = {str(k): _canonical(v) for k, v in value.items() if v is not None}
        if kept.get("_target_") in MOVED:
            kept["_target_"] = MOVED[kept["_target_"]]
        return kept
    if isinstance(value, list | tuple):
        return [_canonical(v) for v in value]
    return value


def run_id(config: Mapping[str, Any], overrides: Sequence[str], digest: str | None = None) -> str:
    """Return the name of a run's folder, such as ``width=50,seed=0-6066020e``.

    What was overridden (by the last part of its key) and the seed make it readable, eight digits of the
    identity (``digest``, where it is known already) make it injective.
    """
    named: dict[str, str] = {}
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if key.split(".")[0] in UNNAMED or key.startswith("hydra/"):
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
    return f"{readable}-{(digest or identity(config))[:8]}"


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.=+-]", "_", text)[:60]


def run_folder_name(config: Mapping[str, Any], overrides: Sequence[str], parent: Path) -> str:
    """Return the name of this run's folder in ``parent``: that of its finished run if there is one.

    The same settings may be reached by other overrides (``lr=0.01`` typed out or left as the default); the
    readable part of the name then differs, the run does not.
    """
    return FolderNames().of(config, identity(config), overrides, str(parent))


class FolderNames:
    """The names of runs' folders in their parents, each of which is listed once."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, list[str]]] = {}

    def of(self, config: Mapping[str, Any], digest: str, overrides: Sequence[str], parent: str) -> str:
        """Return what :func:`run_folder_name` returns for a configuration of this identity."""
        name = run_id(config, overrides, digest)
        alike = self._in(parent).get(digest[:8], [])
        if name in alike and os.path.exists(os.path.join(parent, name, "result.json")):
            return name
        for other in alike:
            try:
                stored = json.loads(Path(parent, other, "result.json").read_text())
                if stored.get("identity") == digest and stored.get("status") in ("done", "diverged"):
                    return other
            except (OSError, ValueError, AttributeError, RecursionError):
                continue
        return name

    def _in(self, parent: str) -> dict[str, list[str]]:
        """Return the names of folders by the eight digits that they end in."""
        if parent not in self._known:
            names = os.listdir(parent) if os.path.isdir(parent) else []
            self._known[parent] = defaultdict(list)
            for name in names:
                self._known[parent][name.rpartition("-")[2]].append(name)
        return self._known[parent]
