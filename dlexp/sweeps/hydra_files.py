"""What Hydra leaves in a job's folder, made fast: by its own way, YAML takes longer than training."""

from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

_CompiledDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_WORDS = {"y", "yes", "n", "no", "true", "false", "on", "off", "null", "~", ""}


class _Dumper(_CompiledDumper):
    """The compiled dumper, quoting what OmegaConf's loader would take for something other than text."""


def _represent_text(dumper: Any, text: str) -> Any:
    style = "'" if text.lower() in _WORDS or _reads_as_number(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _reads_as_number(text: str) -> bool:
    try:
        float(text.replace("_", ""))
    except ValueError:
        return text.lower().lstrip("+-").startswith((".inf", ".nan", "0x", "0b", "0o"))
    return True


_Dumper.add_representer(str, _represent_text)


def to_yaml(plain: Any) -> str:
    """Return plain data as YAML that OmegaConf loads back equal."""
    text: str = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def hydra_files(config: DictConfig) -> dict[str, str]:
    """Return the texts of config.yaml, hydra.yaml and overrides.yaml of one job, by their path in its folder.

    They hold what ``hydra.core.utils.run_job`` writes; interpolations stay as they are.
    """
    folder = config.hydra.output_subdir
    if folder is None:
        return {}
    plain = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    assert isinstance(plain, dict)
    hydra = plain.pop("hydra")
    return {
        f"{folder}/config.yaml": to_yaml(plain),
        f"{folder}/hydra.yaml": to_yaml({"hydra": hydra}),
        f"{folder}/overrides.yaml": to_yaml(hydra["overrides"]["task"]),
    }
