"""A study: a question with its claims and figures, one readable Python file beside the YAML of what is run.

The file is a module with a docstring, ``QUESTION``, ``SOURCES``, ``METRICS`` (that tables show first),
``CLAIMS`` and ``FIGURES``; all but the question may be left out.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from dlexp.results.claims import Claim, claim_problems
from dlexp.results.table import Table

Draw = Callable[[Any, Table], None]


class StudyError(ValueError):
    """A study's Python file that is none; the message has one sentence a line for each problem."""


@dataclass(frozen=True)
class Figure:
    """A figure of a study: `draw(axes, table)` draws it into one Axes, or a list of them if it has panels.

    `panels` is their number or (rows, columns), `size` is in inches; None: fitted to the panels.
    """

    name: str
    title: str
    caption: str
    panels: int | tuple[int, int]
    size: tuple[float, float] | None
    draw: Draw


def figure(
    *,
    title: str,
    caption: str,
    panels: int | tuple[int, int] = 1,
    size: tuple[float, float] | None = None,
) -> Callable[[Draw], Figure]:
    """Make a function of axes and table a study's figure, named as the function is.

    Args:
        title: what it shows, without a full stop.
        caption: what is to be seen in it, in sentences.
        panels: their number in a row, or (rows, columns); the function is then given a list of Axes.
        size: in inches; None: fitted to the panels.

    Example:
        >>> @figure(title="Test loss against width", caption="It peaks.")
        ... def double_descent(axes, table):
        ...     points = table.group(along="model.width", metric="test/loss")
        ...     axes.plot([point.x for point in points], [point.mean for point in points])
        >>> double_descent.name
        'double_descent'
    """

    def decorate(draw: Draw) -> Figure:
        return Figure(draw.__name__, title, caption, panels, size, draw)

    return decorate


@dataclass(frozen=True)
class Study:
    """What a sweep asks, and how it was run.

    ``metrics`` are the ones that tables show first. ``command`` is the last command that ran the sweep,
    ``seconds`` how long that took (None until something was trained), ``fast`` whether it was a quick look.
    ``python`` names the module or file that question, claims and figures come from. ``notices`` are sentences
    that a reader of its results has to know.
    """

    name: str
    question: str = ""
    sources: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    figures: tuple[Figure, ...] = ()
    python: str = ""
    arms: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    fast: bool = False
    seconds: float | None = None
    notices: tuple[str, ...] = ()


def study_of(module: ModuleType, name: str, python: str) -> Study:
    """Return the study that a module defines.

    Raises:
        StudyError: the module lacks its question, or holds what no study has. All problems are told together.
    """
    problems = [f"{python}: {problem}" for problem in _problems(module)]
    if problems:
        raise StudyError("\n".join(problems))
    return Study(
        name=name,
        python=python,
        question=module.QUESTION,
        sources=tuple(getattr(module, "SOURCES", ())),
        metrics=tuple(getattr(module, "METRICS", ())),
        claims=tuple(getattr(module, "CLAIMS", ())),
        figures=tuple(getattr(module, "FIGURES", ())),
    )


_LISTS: Mapping[str, tuple[type, str]] = {
    "SOURCES": (str, "texts"),
    "METRICS": (str, "metrics' names"),
    "CLAIMS": (Claim, "Claim(...)"),
    "FIGURES": (Figure, "functions decorated by @figure(...)"),
}


def _problems(module: ModuleType) -> Iterator[str]:
    question = getattr(module, "QUESTION", None)
    if not isinstance(question, str) or not question.strip():
        yield f"QUESTION={question!r} is not allowed: it must be a sentence."
    is_sound = True
    for key, (kind, words) in _LISTS.items():
        found = getattr(module, key, [])
        if not isinstance(found, list | tuple) or not all(isinstance(entry, kind) for entry in found):
            odd = (
                [entry for entry in found if not isinstance(entry, kind)]
                if isinstance(found, list)
                else found
            )
            yield f"{key} is not allowed to hold {odd!r}: it must be a list of {words}."
            is_sound = False
    if is_sound:
        names = [figure.name for figure in getattr(module, "FIGURES", ())]
        yield from (f"FIGURES: {n} is there twice." for n in dict.fromkeys(names) if names.count(n) > 1)
        yield from claim_problems(
            getattr(module, "CLAIMS", ()), names if hasattr(module, "FIGURES") else None
        )
