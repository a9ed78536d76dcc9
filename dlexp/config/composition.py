"""Composing the configurations of a sweep: once for each kind of job, then only the values that differ.

Hydra composes every job of a sweep from its YAML files anew, and twice: the sweeper to see that it can, the
launcher to run it, at 0.1 to 0.2 s a time. Jobs that differ in values alone (``model.width=1,2,5``) are made
of the same files, so that one composition serves them all, the values set afterwards as Hydra sets them.
"""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


class SweepConfigLoader:
    """Hydra's ``ConfigLoader`` with a ``load_sweep_config`` that shares compositions."""

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader = loader
        self._parser = OverridesParser.create()
        self._shared: dict[tuple[tuple[str, ...], tuple[str, ...]], _Shared] = {}
        self._groups: dict[str, bool] = {}
        self._parsed: dict[str, tuple[Override, bool]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Return what the wrapped loader returns; it is valid until the next call, so copy what is to last.

        Jobs made of the same files are set in the same object, one job's values over the last one's; in its
        hydra node only ``job.override_dirname`` and ``overrides.task`` differ then.
        """
        values: list[Override] = []
        others: list[Override] = []
        for override, is_value in map(self._parse, sweep_overrides):
            (values if is_value else others).append(override)
        keys = tuple(override.key_or_group for override in values)
        files = tuple(override.input_line or "" for override in others)
        shared = self._share(master_config, files)
        if not shared.can_be_reset(keys):
            shared = self._share(master_config, files, keys)
        try:
            shared.set_values(values)
        except OmegaConfBaseException:
            # Hydra words the error, naming the override
            return self._loader.load_sweep_config(master_config, sweep_overrides)
        shared.describe([override for override, _ in map(self._parse, sweep_overrides)])
        return shared.config

    def _share(
        self, master_config: DictConfig, files: tuple[str, ...], keys: tuple[str, ...] = ()
    ) -> "_Shared":
        """Return the composition of files for jobs that set any keys, or for those that set just these."""
        if (files, keys) not in self._shared:
            config = self._loader.load_sweep_config(master_config, list(files))
            self._shared[files, keys] = _Shared(config, bool(keys))
        return self._shared[files, keys]

    def _parse(self, line: str) -> tuple[Override, bool]:
        """Return an override, and whether it only sets the value of an existing key."""
        # A sweep says the same few things over and over, and Hydra's parser takes a millisecond for each.
        if line not in self._parsed:
            override = self._parser.parse_override(line)
            self._parsed[line] = override, self._sets_a_value(override)
        return self._parsed[line]

    def _sets_a_value(self, override: Override) -> bool:
        """Whether an override only sets the value of an existing key, and so needs no other file."""
        key = override.key_or_group
        return (
            override.type == OverrideType.CHANGE
            and override.package is None
            and not override.is_hydra_override()
            and not self._is_group(key)
            # a mapping is merged into what is there: the values of the job before would shine through
            and not isinstance(override.value(), dict)
        )

    def _is_group(self, key: str) -> bool:
        if "." in key:
            return False
        if key not in self._groups:
            self._groups[key] = bool(self._loader.get_group_options(key, results_filter=None))
        return self._groups[key]


class _Shared:
    """One composition, which holds the values of one job after the other.

    Args:
        config: as composed.
        has_fixed_keys: whether all jobs set the same keys, all of them anew; otherwise each may set its own,
            and what it does not set is as composed.
    """

    def __init__(self, config: DictConfig, has_fixed_keys: bool) -> None:
        self.config = config
        self._job, self._task = config.hydra.job, config.hydra.overrides.task
        naming = self._job.config.override_dirname
        self._separators = naming.kv_sep, naming.item_sep
        self._unnamed = set(naming.exclude_keys)
        self._has_fixed_keys = has_fixed_keys
        self._composed: dict[str, Any] = {}
        self._values: dict[str, Override | None] = {}
        self._lines: list[str] = []

    def can_be_reset(self, keys: Sequence[str]) -> bool:
        """Whether each of these keys can be set by itself, and be as composed again afterwards."""
        do_overlap = any(f"{a}.".startswith(f"{b}.") for a, b in permutations(keys, 2))
        return not do_overlap and not any(isinstance(self._as_composed(key), dict) for key in keys)

    def set_values(self, overrides: Sequence[Override]) -> None:
        """Set the values that differ from the last job's."""
        if self._has_fixed_keys:
            for override in overrides:
                self._set(override.key_or_group, override.value())
            return
        for key in self._values.keys() - {override.key_or_group for override in overrides}:
            del self._values[key]
            self._set(key, self._as_composed(key))
        for override in overrides:
            key = override.key_or_group
            if override is not self._values.get(key):
                self._values[key] = None  # should setting it fail
                self._set(key, override.value())
                self._values[key] = override

    def _set(self, key: str, value: Any) -> None:
        OmegaConf.update(self.config, key, value, merge=True)

    def _as_composed(self, key: str) -> Any:
        """Return the value before any job set it, interpolations as they are written; None if none is."""
        if key not in self._composed:
            parent, _, name = key.rpartition(".")
            node = OmegaConf.select(self.config, parent) if parent else self.config
            plain: Any = OmegaConf.to_container(node, resolve=False) if OmegaConf.is_dict(node) else {}
            self._composed[key] = plain.get(name)
        return self._composed[key]

    def describe(self, overrides: Sequence[Override]) -> None:
        """Say in the hydra node which overrides made the configuration, as Hydra's own composition does."""
        own = [override for override in overrides if not override.is_hydra_override()]
        lines = [override.input_line or "" for override in own]
        between, behind = self._separators
        named = sorted(o.input_line or "" for o in own if o.key_or_group not in self._unnamed)
        self._job.override_dirname = behind.join(named).replace("=", between)
        if len(lines) != len(self._lines):  # of the first job
            self.config.hydra.overrides.task = lines
            self._task = self.config.hydra.overrides.task
        for i, (line, last) in enumerate(zip(lines, self._lines, strict=False)):
            if line != last:
                self._task[i] = line
        self._lines = lines
