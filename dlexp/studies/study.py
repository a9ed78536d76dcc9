"""A study on disk: the question that a sweep asks, its claims and its figures, in ``study.json``."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlexp.files import write_atomically

if TYPE_CHECKING:
    from dlexp.studies.claims import Claim
    from dlexp.studies.drawings import Drawing

FILE = "study.json"
_KEYS = {
    "question": str,
    "arms": Mapping,
    "fast": Mapping,
    "metrics": list,
    "claims": list,
    "figures": list,
    "sources": list,
}


@dataclass(frozen=True)
class Study:
    """What ``study.json`` holds: the study's own keys as plain data, and how it was run.

    ``metrics`` are the ones that tables show first. ``command`` is the last command that ran the sweep,
    ``seconds`` how long that took (None until something was trained), ``fast`` whether it was a quick look.
    """

    name: str
    question: str = ""
    command: str = ""
    fast: bool = False
    seconds: float | None = None
    arms: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    claims: tuple[Mapping[str, Any], ...] = ()
    figures: tuple[Mapping[str, Any], ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def parsed_claims(self) -> "tuple[Claim, ...]":
        """The claims, checked."""
        from dlexp.studies.claims import parse_claims

        return parse_claims(self.claims)

    @property
    def drawings(self) -> "tuple[Drawing, ...]":
        """The figures, checked."""
        from dlexp.studies.drawings import parse_figures

        return parse_figures(self.figures)

    def write(self, folder: Path) -> None:
        """Write ``study.json`` into a sweep's folder."""
        write_atomically(folder / FILE, json.dumps(asdict(self), indent=1) + "\n")


def find_study_problems(node: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each thing wrong in a ``study`` node."""
    from dlexp.studies.claims import ClaimError, parse_claims
    from dlexp.studies.drawings import DrawingError, parse_figures

    problems = []
    for key, value in node.items():
        if key not in _KEYS:
            problems.append(f"study.{key} is not a key of a study; allowed: {', '.join(_KEYS)}.")
        elif value is not None and not isinstance(value, _KEYS[key]):
            kind = {str: "a text", list: "a list"}.get(_KEYS[key], "a mapping")
            problems.append(f"study.{key}={value} is not allowed: it must be {kind}.")
    if problems:
        return problems
    names: set[str] = set()
    try:
        names = {drawing.name for drawing in parse_figures(node.get("figures") or [])}
    except DrawingError as error:
        problems += str(error).splitlines()
    try:
        for claim in parse_claims(node.get("claims") or []):
            if claim.figure is not None and claim.figure not in names and not problems:
                problems.append(
                    f"study.claims: {claim.name}: figure={claim.figure} is not allowed: it must be one of "
                    f"{', '.join(sorted(names)) or 'study.figures, which is empty'}."
                )
    except ClaimError as error:
        problems += str(error).splitlines()
    return problems


def make_study(
    node: Mapping[str, Any], *, name: str, command: str, fast: bool, seconds: float | None = None
) -> Study:
    """Return the study of a checked ``study`` node."""
    return Study(
        name=name,
        question=node.get("question") or "",
        command=command,
        fast=fast,
        seconds=seconds,
        arms=dict(node.get("arms") or {}),
        metrics=tuple(node.get("metrics") or ()),
        claims=tuple(node.get("claims") or ()),
        figures=tuple(node.get("figures") or ()),
        sources=tuple(node.get("sources") or ()),
    )


def read_study(folder: Path) -> Study | None:
    """Return the study of a sweep's folder; None if there is none, or none that can be read."""
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Study(**content)
    except (OSError, ValueError, TypeError):
        return None


def note_duration(folder: Path, started: float) -> None:
    """Keep in ``study.json`` how long a sweep took that began at ``started``, if it made any result."""
    study = read_study(folder)
    newest = max((path.stat().st_mtime for path in folder.glob("*/result.json")), default=0.0)
    if study is not None and newest >= started:
        replace(study, seconds=round(newest - started, 1)).write(folder)
