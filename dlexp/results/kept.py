"""A study beside a sweep's results: ``study.json`` and copies of its YAML and Python.

The installed study of that name is what a report uses. The Python in a folder may come from anyone: it is run
only where its reader says that the folder is to be trusted.
"""

import importlib
import importlib.util
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from dlexp.records.files import write_atomically
from dlexp.results.claims import Claim
from dlexp.results.statistic import Statistic
from dlexp.results.statistics import KINDS, Value
from dlexp.results.study import Study, StudyError, study_of
from dlexp.results.summary import is_number

FILE = "study.json"
PACKAGE = "dlexp.studies"


def load_python(python: str, folder: Path | None = None) -> tuple[ModuleType, Path]:
    """Return the module of a study and its file.

    Args:
        python: a module's name, or a file (that ends in ``.py``), in `folder` if it is no absolute path.
        folder: where the study's YAML lies.

    Raises:
        StudyError: there is no such module or file, or it cannot be run; the message says why.
    """
    try:
        if python.endswith(".py"):
            path = (folder or Path()) / python
            if not path.exists():
                raise StudyError(f"study.python={python} is not allowed: there is no file {path}.")
            return _run(path), path
        module = importlib.import_module(python)
    except StudyError:
        raise
    except ModuleNotFoundError as error:
        raise StudyError(f"study.python={python} is not allowed: {error.msg}.") from error
    except Exception as error:
        raise StudyError(f"study.python={python} cannot be read: {type(error).__name__}: {error}") from error
    if module.__file__ is None:
        raise StudyError(f"study.python={python} is not allowed: it must be a module with a file.")
    return module, Path(module.__file__)


def _run(path: Path) -> ModuleType:
    name = f"dlexp_study_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def installed(python: str) -> tuple[ModuleType, Path] | None:
    """Return the module and the file of a study that comes with dlexp, None if it does not."""
    package, _, name = python.rpartition(".")
    if package != PACKAGE or not name.isidentifier() or importlib.util.find_spec(python) is None:
        return None
    return load_python(python)


def copy_name(python: str) -> str:
    """Return the name of a study's Python in a sweep's folder.

    Example:
        >>> copy_name("dlexp.studies.double_descent"), copy_name("mine/own.py")
        ('double_descent.py', 'own.py')
    """
    return Path(python).name if python.endswith(".py") else f"{python.rpartition('.')[2]}.py"


def keep(study: Study, folder: Path, *files: Path) -> None:
    """Write ``study.json`` into a sweep's folder, and copies of files beside it.

    Raises:
        OSError: a file cannot be read, or the folder cannot be written.
    """
    for file in files:
        write_atomically(folder / file.name, file.read_bytes())
    content = {
        **{key: value for key, value in vars(study).items() if key != "notices"},
        "schema": 2,
        "claims": [claim.as_data() for claim in study.claims],
        "figures": [{"name": f.name, "title": f.title, "caption": f.caption} for f in study.figures],
    }
    write_atomically(folder / FILE, json.dumps(content, indent=1) + "\n")


def read_study(folder: Path, *, trust: bool = False) -> Study | None:
    """Return the study of a sweep's folder; None if there is none, or none that can be read.

    Args:
        folder: the sweep's.
        trust: whether to run the Python in the folder where no study of that name is installed. Otherwise
            the claims are those of ``study.json``, and there are no figures.
    """
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        stored = _stored(content)
    except (OSError, ValueError, TypeError, AttributeError, LookupError):
        return None
    python = stored.python or f"{PACKAGE}.{stored.name}"
    copy = folder / copy_name(python)
    try:
        found = installed(python)
        if found is not None:
            study = study_of(found[0], stored.name, python)
            if not stored.python and study.question != stored.question:  # another study of the same name
                return stored
            return _as_run(study, stored, *_difference(study, found[1], copy, content))
        if trust and copy.exists():
            return _as_run(study_of(load_python(copy.name, folder)[0], stored.name, stored.python), stored)
    except StudyError as error:
        return replace(stored, notices=tuple(str(error).splitlines()))
    if copy.exists():
        notice = f"Without --trust {copy.name} in this folder is not run: its figures are left out."
        return replace(stored, notices=(notice,))
    return stored


def _stored(content: Mapping[str, Any]) -> Study:
    """Return what ``study.json`` says by itself."""
    plain = {key: content[key] for key in ("question", "arms", "command", "fast") if key in content}
    return Study(
        name=str(content["name"]),
        python=str(content.get("python") or ""),
        **plain,
        seconds=content.get("seconds"),
        sources=tuple(content.get("sources") or ()),
        metrics=tuple(content.get("metrics") or ()),
        claims=read_claims(content.get("claims")),
    )


def _as_run(study: Study, stored: Study, *notices: str) -> Study:
    """Return a study with what `study.json` says of how it was run."""
    return replace(
        study,
        arms=stored.arms,
        command=stored.command,
        fast=stored.fast,
        seconds=stored.seconds,
        notices=notices,
    )


def _difference(study: Study, file: Path, copy: Path, content: Mapping[str, Any]) -> list[str]:
    """Say so where the installed study is not the one that was run."""
    if copy.exists():
        is_same = copy.read_bytes() == file.read_bytes()
    else:
        is_same = read_claims(content.get("claims")) == study.claims
    return [] if is_same else [f"{study.python} is used as installed; what was run here differs from it."]


def read_claims(plain: Any) -> tuple[Claim, ...]:
    """Return the claims of a list of mappings; those that cannot be read are left out, their controls too.

    A statistic of a study's own class says nothing without its code: such a claim cannot be read.
    """
    claims = []
    for entry in plain if isinstance(plain, list) else []:
        try:
            claims.append(_claim(entry))
        except (KeyError, TypeError, ValueError):
            continue
    names = {claim.name for claim in claims}
    return tuple(claim for claim in claims if names.issuperset(claim.controls))


def _claim(plain: Mapping[str, Any]) -> Claim:
    low, high = plain["region"]
    diverged = plain.get("diverged", "refuse")
    known = {key: plain[key] for key in ("name", "text", "scope", "figure", "replicates") if key in plain}
    return Claim(
        **known,
        source=plain.get("source") or "",
        statistic=_statistic(plain["statistic"]),
        region=(-math.inf if low is None else float(low), math.inf if high is None else float(high)),
        controls=tuple(plain.get("controls") or ()),
        diverged=float(diverged) if is_number(diverged) else diverged,
    )


def _statistic(plain: Mapping[str, Any]) -> Statistic:
    kind: Any = KINDS[plain["kind"]]
    fields = {key: value for key, value in plain.items() if key != "kind"}
    for side in {"of", "minus", "to"} & fields.keys():
        if isinstance(fields[side], Mapping):
            fields[side] = Value(fields[side]["metric"], fields[side].get("where") or {})
    if "where" in fields:
        fields["where"] = fields["where"] or {}
    found: Statistic = fields["of"] if kind is Value else kind(**fields)
    return found


def note_duration(folder: Path, started: float) -> None:
    """Keep in ``study.json`` how long a sweep took that began at ``started``, if it made any result."""
    path = folder / FILE
    newest = max((path.stat().st_mtime for path in folder.glob("*/result.json")), default=0.0)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if newest >= started:
        content["seconds"] = round(newest - started, 1)
        write_atomically(path, json.dumps(content, indent=1) + "\n")
