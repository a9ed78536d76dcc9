"""Composing configurations: by Hydra once for each set of files, then by setting values in plain data.

Hydra takes .15 s to compose a job from its YAML files. Jobs that differ in values alone (``model.width=1,2``)
are made of the same files: one composition serves them all, copied and set as Hydra would set it. What else
an override may do (choose an option, add or delete a key, set a mapping) goes through Hydra; a job with an
interpolation goes through OmegaConf, which is slower and right.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from dlexp.config.check import FIELDS, copied
from dlexp.config.errors import ConfigError, not_allowed, unknown_key
from dlexp.config.fill import fill
from dlexp.config.hydra_internals import COMPOSITION_ERRORS, explain
from dlexp.config.plain import NOT_A_JOBS, is_interpolated, resolved
from dlexp.config.resolve import DEFAULT_SUBDIRECTORY, conf_directory, register


@dataclass(frozen=True)
class Composition:
    """One job as composed.

    Attributes:
        plain: the job's settings as plain data, filled.
        sweep_dir: the folder of the sweep.
        subdir: that of the job in it; None: what its identity makes it.
        arms: those of the study, if there is one.
    """

    plain: dict[str, Any]
    sweep_dir: str
    subdir: str | None
    arms: tuple[str, ...]


class Composer:
    """Composes the jobs of one command or sweep.

    Args:
        loader: Hydra's, as a launcher or sweeper is given it.
        master: the configuration of the sweep, whose Hydra settings all jobs share.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self.loader = loader
        self.master = master
        self._parser = OverridesParser.create()
        self._composed: dict[tuple[str, ...], dict[str, Any]] = {}
        self._parsed: dict[str, tuple[Override, bool]] = {}
        self._groups: dict[str, bool] = {}

    def compose(self, overrides: Sequence[str], index: int = 0) -> Composition:
        """Return the job that overrides make. Raises ``ConfigError`` if they make none.

        ``index`` is what ``${hydra.job.num}`` means.
        """
        try:
            return self._compose(overrides, index)
        except ConfigError:
            raise
        except COMPOSITION_ERRORS as error:
            raise ConfigError(explain(error, overrides)) from error

    def _compose(self, overrides: Sequence[str], index: int) -> Composition:
        parsed = [self._parse(line) for line in overrides]
        keys = [override.key_or_group.split(".") for override, _ in parsed]
        if any(part.isdecimal() for key in keys for part in key):  # an item of a list
            parsed = [(override, False) for override, _ in parsed]  # all of it by Hydra, in its order
        files = tuple(override.input_line or "" for override, is_value in parsed if not is_value)
        composed = self._files(files)
        job = copied(composed["job"])
        problems = [
            unknown_key(override.key_or_group, [*FIELDS, *_keys(job)])
            for (override, is_value), key in zip(parsed, keys, strict=True)
            if is_value and not _set(job, key, override.value())
        ]
        if problems:
            raise ConfigError(problems)
        plain = fill(job)
        study = composed["study"]
        hydra = {**composed["hydra"], "job": {**composed["hydra"]["job"], "num": index, "id": str(index)}}
        if is_interpolated(plain):
            plain = resolved(plain, {"hydra": hydra, "study": study})
        return Composition(plain, *_folders(hydra, plain), tuple(study.get("arms") or ()))

    def _files(self, lines: tuple[str, ...]) -> dict[str, Any]:
        """Return what Hydra composes of overrides: ``job``, ``hydra`` and ``study``, nothing resolved."""
        if lines not in self._composed:
            config = self.loader.load_sweep_config(self.master, list(lines))
            raw: Any = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
            job = {key: value for key, value in raw.items() if key not in NOT_A_JOBS}
            self._composed[lines] = {"job": job, "hydra": raw["hydra"], "study": raw.get("study") or {}}
        return self._composed[lines]

    def _parse(self, line: str) -> tuple[Override, bool]:
        """Return an override, and whether it only sets the value of a key, without another file."""
        # A sweep says the same few things over and over, and Hydra's parser takes a millisecond for each.
        if line not in self._parsed:
            override = self._parser.parse_overrides([line])[0]
            is_value = (
                override.type == OverrideType.CHANGE
                and override.package is None
                and not override.is_hydra_override()
                and not override.is_sweep_override()
                and not isinstance(override.value(), dict)  # which is merged into what is there
                and not self._is_group(override.key_or_group)
            )
            self._parsed[line] = override, is_value
        return self._parsed[line]

    def _is_group(self, key: str) -> bool:
        if "." in key:
            return False
        if key not in self._groups:
            self._groups[key] = bool(self.loader.get_group_options(key, results_filter=None))
        return self._groups[key]


def _folders(hydra: dict[str, Any], plain: dict[str, Any]) -> tuple[str, str | None]:
    """Return the folder of the sweep, and that of the job in it unless it follows from its identity."""
    parent, subdir = str(hydra["sweep"]["dir"]), str(hydra["sweep"]["subdir"])
    parent = parent.replace("${name}", str(plain.get("name")))
    is_default = subdir == DEFAULT_SUBDIRECTORY
    if is_interpolated(parent) or (is_interpolated(subdir) and not is_default):
        root = OmegaConf.create({"hydra": {**hydra, "sweep": {"dir": parent, "subdir": subdir}}, **plain})
        parent = str(root.hydra.sweep.dir)
        subdir = subdir if is_default else str(root.hydra.sweep.subdir)
    require_folders(
        {"hydra.sweep.dir": parent},
        {} if is_default else {"hydra.sweep.subdir": subdir},
        hydra["output_subdir"],
    )
    return parent, None if is_default else subdir


def require_folders(
    anywhere: Mapping[str, str], within: Mapping[str, str], output_subdir: str | None
) -> None:
    """Refuse folders that are not: those ``within`` another one stay there."""
    allowed = "the name of one folder, such as width_5"
    inside = {**within, **({} if output_subdir is None else {"hydra.output_subdir": output_subdir})}
    problems = [not_allowed(key, name, "the path of a folder") for key, name in anywhere.items() if not name]
    problems += [
        not_allowed(key, name, allowed)
        for key, name in inside.items()
        if name in ("", ".", "..") or "/" in name or "\0" in name
    ]
    if problems:
        raise ConfigError(problems)


def _set(job: dict[str, Any], path: Sequence[str], value: Any) -> bool:
    """Set the value of an existing key; whether there was one."""
    section: Any = job
    for name in path[:-1]:
        section = section.get(name) if isinstance(section, dict) else None
    if not isinstance(section, dict) or path[-1] not in section:
        return False
    section[path[-1]] = copied(value)
    return True


def _keys(job: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in job.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")


def composer_of(overrides: Sequence[str] = (), folder: Path | None = None) -> Composer:
    """Return a composer as the command ``train.py -m`` with these overrides has it.

    Args:
        overrides: what the sweep's jobs share; sweeps among them (``seed=0,1``) are left to the caller.
        folder: of the YAML files; None: ``conf``.

    Raises ``ConfigError`` for overrides that Hydra refuses.
    """
    register()
    outer = GlobalHydra.instance().hydra  # of an application in which this is called
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(folder or conf_directory()), job_name="train", version_base="1.3"):
            loader = GlobalHydra.instance().config_loader()
            master = loader.load_configuration("train", list(overrides), RunMode.MULTIRUN)
    except COMPOSITION_ERRORS as error:
        raise ConfigError(explain(error, overrides)) from error
    finally:
        GlobalHydra.instance().clear()
        if outer is not None:
            GlobalHydra.instance().initialize(outer)
    return Composer(loader, master)
