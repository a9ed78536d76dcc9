"""The house: imports run downwards only, and the floors that answer at once do not load torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dlexp

PACKAGE = Path(dlexp.__file__).parent

FLOORS = {
    "losses": 0,
    "estimate": 0,
    "frameworks": 0,
    "guest": 0,
    "own": 1,
    "config": 0,
    "seeding": 1,
    "targets": 1,
    "measures": 1,
    "models": 1,
    "data": 1,
    "records": 1,
    "plots": 1,
    "train": 2,
    "callbacks": 3,
    "results": 4,
    "report": 5,
    "studies": 5,
    "launch": 6,
    "cli": 7,
    "plugins": 7,
    "interface": 8,
    "__init__": 8,
}


def imported(path: Path) -> list[str]:
    """Return the modules of dlexp that a file imports at any place, as dotted names."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return [name for name in names if name.startswith("dlexp.")]


def floor_of(parts: tuple[str, ...]) -> int:
    return FLOORS[parts[0].removesuffix(".py")]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downwards(path):
    own = floor_of(path.relative_to(PACKAGE).parts)
    above = [name for name in imported(path) if floor_of(tuple(name.split(".")[1:])) > own]
    assert not above


LIGHT = [
    "dlexp",
    "dlexp.config.jobs",
    "dlexp.losses",
    "dlexp.records.run",
    "dlexp.results.table",
    "dlexp.results.study",
    "dlexp.plots.lines",
    "dlexp.report.results",
    "dlexp.cli.train",
]


@pytest.mark.parametrize("module", LIGHT)
def test_what_answers_at_once_loads_neither_torch_nor_matplotlib(module):
    code = f"import {module}, sys; print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
