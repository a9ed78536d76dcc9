"""A study on the command line: checked before its sweep, kept beside the results, judged at the end."""

import importlib.resources
import importlib.util
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from dlexp.config.errors import not_allowed, refuse
from dlexp.config.hydra_internals import told_in_sentences
from dlexp.config.jobs import Job

ARMS_SWEEPER = "hydra_plugins.dlexp_sweepers.ArmsSweeper"
KEYS = {"python": str, "arms": Mapping, "fast": Mapping}
"""What the YAML of a study says: all but the name of its Python is for the sweeper."""


class StudyCallback(Callback):
    """Refuses a study with mistakes before any job runs; keeps it in the sweep's folder."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the study and keep it."""
        with told_in_sentences():
            self._check_and_keep(config)

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse a study as one job: its sweep and its arms would be left out."""
        study = config.hydra.runtime.choices.get("study")
        if config.study or config.hydra.sweeper.get("params"):
            refuse(
                [f"study={study} is not allowed without -m or hydra.mode: MULTIRUN in its file: it sweeps."]
            )

    def _check_and_keep(self, config: DictConfig) -> None:
        chosen = [line for line in _task_overrides(config) if line.startswith("study=")]
        if any("," in override for override in chosen):
            refuse([f"{chosen[-1]} is not allowed: one study at a time (`make studies` runs all)."])
        if not config.study:
            return
        from dlexp.results.kept import keep, load_python, read_study
        from dlexp.results.study import Study, StudyError, study_of

        given = config.study
        node: Any = OmegaConf.to_container(given, resolve=True) if OmegaConf.is_config(given) else given
        refuse([*node_problems(node)])
        arms = node.get("arms") or {}
        if arms and config.hydra.sweeper._target_ != ARMS_SWEEPER:
            refuse(["hydra/sweeper is not allowed to be another than arms: this study has arms."])
        choice = config.hydra.runtime.choices.get("study")
        yaml = _yaml(config, choice)
        python = node.get("python") or _default_python(choice, yaml)
        study, files = Study(name=config.name), [yaml] if yaml else []
        if python:
            try:
                module, file = load_python(python, yaml.parent if yaml else None)
                study = study_of(module, config.name, file.name if python.endswith(".py") else python)
            except StudyError as error:
                refuse(str(error).splitlines())
            files.append(file)
        refuse([*arm_problems(study.claims, arms)])
        folder = Path(config.hydra.sweep.dir)
        earlier = read_study(folder)
        study = replace(
            study,
            arms=arms,
            command=shlex.join([*_program(), *sys.argv[1:]]),
            fast=config.hydra.runtime.choices.get("debug") == "fast",
            seconds=earlier.seconds if earlier else None,  # of the sweep that this one finds finished
        )
        keep(study, folder, *files)


ASIDE = ("study=", "name=", "rerun=", "records=", "logger", "hydra", "training.engine=", "+hydra")
"""Beginnings of overrides that leave a study's own sweep as it is."""


def claim_problems(config: DictConfig, jobs: Sequence[Job]) -> list[str]:
    """Return a sentence for each claim on an arm, key, value or metric that none of a study's jobs will have.

    A sweep that the command line narrows or changes may leave claims without their runs.
    """
    from dlexp.config.rules import metric_problem
    from dlexp.records.run import UNFINISHED, Run
    from dlexp.results.kept import read_study
    from dlexp.results.statistic import Term
    from dlexp.results.table import Table

    if any(not override.startswith(ASIDE) for override in _task_overrides(config)):
        return []
    study = read_study(Path(config.hydra.sweep.dir), trust=True)
    rows = tuple(Run(UNFINISHED, job.folder.name, config=job.plain) for job in jobs)
    table = Table(rows)
    problems = []
    for claim in study.claims if study else ():
        problems += [f"Claim {claim.name}: {problem}" for problem in claim.statistic.problems(table)]
        for term in (term for term in claim.statistic.terms if isinstance(term, Term)):
            known = [
                metric_problem("metric", term.metric, row.config["data"]["task"], row.config["callbacks"])
                for row in table.select(term.where).rows
            ]
            if known and all(known):
                problems.append(f"Claim {claim.name}: {known[0]}")
    return list(dict.fromkeys(problems))


def node_problems(node: Any) -> Iterator[str]:
    """Yield a sentence for each thing wrong in a ``study`` node."""
    if not isinstance(node, Mapping):
        yield not_allowed("study", node, f"a mapping with the keys {', '.join(KEYS)}")
        return
    for key, value in node.items():
        if key not in KEYS:
            yield (
                f"study.{key} is not a key of a study; allowed: {', '.join(KEYS)}. Question, claims and "
                "figures are in its Python file."
            )
        elif value is not None and not isinstance(value, KEYS[key]):
            kind = "a module or a file" if key == "python" else "a mapping"
            yield not_allowed(f"study.{key}", value, kind)
        elif key == "arms":
            arms: Mapping[str, Any] = value or {}
            for arm, settings in arms.items():
                if not isinstance(settings, Mapping):
                    yield not_allowed(f"study.arms.{arm}", settings, "a mapping of keys to values")


def _task_overrides(config: DictConfig) -> list[str]:
    """Return the command line's overrides as they were given, interpolations unresolved."""
    given: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    return list(given)


def arm_problems(claims: Any, arms: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each arm that a claim names and the study does not have."""
    from dlexp.results.statistic import Term
    from dlexp.results.table import listed

    named = {
        (claim.name, arm)
        for claim in claims
        for term in claim.statistic.terms
        if isinstance(term, Term)
        for arm in listed(term.where.get("arm", ()))
    }
    for claim, arm in sorted(named, key=str):
        if arm not in arms:
            known = ", ".join(arms) or "study.arms, which is empty"
            yield f"Claim {claim}: arm={arm} is not allowed: it must be one of {known}."


def _yaml(config: DictConfig, choice: str | None) -> Path | None:
    """Return the YAML of the chosen study, the first on Hydra's search path."""
    for source in config.hydra.runtime.config_sources if choice else ():
        if source.schema == "file":
            folder = Path(source.path)
        elif source.schema == "pkg" and importlib.util.find_spec(source.path.split(".")[0]):
            folder = Path(str(importlib.resources.files(source.path)))
        else:
            continue
        if (folder / "study" / f"{choice}.yaml").exists():
            return folder / "study" / f"{choice}.yaml"
    return None


def _default_python(choice: str | None, yaml: Path | None) -> str | None:
    """Return the file beside a study's YAML, else dlexp's own module of that name, if there is one."""
    from dlexp.results.kept import PACKAGE, installed

    if yaml is not None and yaml.with_suffix(".py").exists():
        return yaml.with_suffix(".py").name
    module = f"{PACKAGE}.{choice}"
    return module if choice and installed(module) else None


def _program() -> list[str]:
    """Return how this command is called: as the checkout's script or as the installed program."""
    name = Path(sys.argv[0]).name
    return ["python", f"scripts/{name}"] if name.endswith(".py") else [name]
