"""Composing the configurations of a sweep: once for each kind of job, then only the values that differ.

Hydra composes every job of a sweep from its YAML files anew, and twice: the sweeper to see that it can, the
launcher to run it, at 0.1 to 0.2 s a time. Jobs that differ in values alone (``model.width=1,2,5``) are made
of the same files, so that one composition serves them all, the values set afterwards as Hydra sets them.
"""

from collections.abc import Sequence
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
        self._shared: dict[tuple[tuple[str, ...], tuple[str, ...]], DictConfig] = {}
        self._groups: dict[str, bool] = {}
        self._parsed: dict[str, Override] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Return what the wrapped loader returns; it is valid until the next call, so copy what is to last.

        Overrides of the same keys are set in the same object, one job's values over the last one's.
        """
        parsed = [self._parse(override) for override in sweep_overrides]
        values = [override for override in parsed if self._sets_a_value(override)]
        others = tuple(override.input_line or "" for override in parsed if override not in values)
        keys = tuple(sorted(override.key_or_group for override in values))
        if (others, keys) not in self._shared:
            self._shared[others, keys] = self._loader.load_sweep_config(master_config, list(others))
        config = self._shared[others, keys]
        try:
            for override in values:
                OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
        except OmegaConfBaseException:
            # Hydra words the error, naming the override
            return self._loader.load_sweep_config(master_config, sweep_overrides)
        _describe_overrides(config, [override for override in parsed if not override.is_hydra_override()])
        return config

    def _parse(self, override: str) -> Override:
        # A sweep says the same few things over and over, and Hydra's parser takes a millisecond for each.
        if override not in self._parsed:
            self._parsed[override] = self._parser.parse_override(override)
        return self._parsed[override]

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


def _describe_overrides(config: DictConfig, overrides: Sequence[Override]) -> None:
    """Say in the configuration's hydra node which overrides made it, as Hydra's own composition does."""
    job = config.hydra.job
    naming = job.config.override_dirname
    named = sorted(o.input_line or "" for o in overrides if o.key_or_group not in naming.exclude_keys)
    job.override_dirname = naming.item_sep.join(named).replace("=", naming.kv_sep)
    config.hydra.overrides.task = [override.input_line for override in overrides]
