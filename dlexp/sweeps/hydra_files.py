"""What Hydra leaves in a job's folder, made fast: by its own way, YAML takes longer than training."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

_CompiledDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_WORDS = {"y", "yes", "n", "no", "true", "false", "on", "off", "null", "~", ""}


class _Dumper(_CompiledDumper):
    """The compiled dumper, quoting what OmegaConf's loader would take for something other than text."""


def _represent_text(dumper: Any, text: str) -> Any:
    style = "'" if text.lower() in _WORDS or _reads_as_number(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "\n" in text else style)


def _reads_as_number(text: str) -> bool:
    try:
        float(text.replace("_", ""))
    except ValueError:
        return text.lower().lstrip("+-").startswith((".inf", ".nan", "0x", "0b", "0o"))
    return True


_Dumper.add_representer(str, _represent_text)


def to_yaml(plain: Any) -> str:
    """Return plain data as YAML that OmegaConf loads back equal."""
    return "\n".join(_lines(plain)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    """Lay mappings and lists out in blocks; the texts of keys and leaves come from the dumper."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            name = _scalar(key)
            if isinstance(item, Mapping | list | tuple) and item:
                yield f"{name}:"
                indent = "  " if isinstance(item, Mapping) else ""
                yield from (indent + line for line in _lines(item))
            else:
                yield f"{name}: {_leaf(item)}"
    elif isinstance(value, list | tuple) and value:
        for item in value:
            for i, line in enumerate(_lines(item)):
                yield f"{'- ' if i == 0 else '  '}{line}"
    else:
        yield _leaf(value)


def _leaf(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple):
        return "{}" if isinstance(value, Mapping) else "[]"
    return _scalar(value)


@lru_cache(maxsize=10_000, typed=True)  # 1, 1.0 and True are equal
def _scalar(value: Any) -> str:
    """Return one value as YAML on one line."""
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, width=2**31 - 1)
    return text.removesuffix("\n").removesuffix("\n...")


class HydraFiles:
    """Makes the texts of config.yaml, hydra.yaml and overrides.yaml of a sweep's jobs.

    They hold what ``hydra.core.utils.run_job`` writes; interpolations stay as they are. Jobs that share a
    composition (``SweepConfigLoader``) share its hydra node but for what tells their names and places.
    """

    def __init__(self) -> None:
        self._composition: DictConfig | None = None
        self._hydra: dict[str, Any] = {}
        self._texts: dict[str, str] = {}

    def of(self, config: DictConfig, folder: str) -> dict[str, str]:
        """Return the texts of the job that ``config`` holds now, by their path in its folder."""
        if config is not self._composition:
            self._composition, self._hydra = config, _plain(config.hydra)
            self._texts = {key: _indented({key: item}) for key, item in self._hydra.items()}
        place = self._hydra["output_subdir"]
        if place is None:
            return {}
        node = config.hydra
        task = _plain(node.overrides.task)
        own = {
            "overrides": {**self._hydra["overrides"], "task": task},
            "job": _plain(node.job),
            "runtime": {**self._hydra["runtime"], "output_dir": folder},
        }
        texts = self._texts | {key: _indented({key: item}) for key, item in own.items()}
        plain = {key: _plain(item) for key, item in config.items_ex(resolve=False) if key != "hydra"}
        return {
            f"{place}/config.yaml": to_yaml(plain),
            f"{place}/hydra.yaml": "".join(["hydra:\n", *texts.values()]),
            f"{place}/overrides.yaml": to_yaml(task),
        }


def _indented(plain: Any) -> str:
    return "".join(f"  {line}\n" for line in _lines(plain))


def _plain(value: Any) -> Any:
    is_container = OmegaConf.is_config(value)
    return OmegaConf.to_container(value, resolve=False, enum_to_str=True) if is_container else value
