"""Plants faults in dlexp, one at a time, and counts how many the tests notice: ``make mutants``.

cosmic-ray plants them in a copy of the last commit (``.mutants/tree``) and keeps what came of each in
``.mutants/session.sqlite``, so that the command goes on where it was stopped; ``--anew`` begins again. The
sample is fixed: as many faults of each folder, no two at the same place, chosen by a seed. The score and the
faults that nobody noticed are written to ``tests/mutants/survivors.md``.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

from cosmic_ray.commands import init
from cosmic_ray.modules import find_modules
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import TestOutcome, WorkItem

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
PLACE = REPOSITORY / ".mutants"
TREE, SESSION = PLACE / "tree", PLACE / "session.sqlite"
CONFIG = tomllib.loads((HERE / "cosmic-ray.toml").read_text())["cosmic-ray"]

SIZE = 150
UNFAIR = re.compile(
    r"core/(ReplaceBinaryOperator_BitOr_.*"  # in annotations, where any change keeps a module from loading
    r"|ReplaceBinaryOperator_.*_(LShift|RShift|BitOr|BitAnd|BitXor)"  # which floats do not have
    r"|RemoveDecorator)"  # properties and dataclasses: nothing works without
)
"""Operators whose mutants any test notices: with them the score would say little."""


def main() -> None:
    """Go on with the session, begun anew if asked for or if the last commit is another one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--anew", action="store_true", help="forget what earlier calls found")
    parser.add_argument("--size", type=int, default=SIZE, help=f"how many faults (default: {SIZE})")
    arguments = parser.parse_args()
    commit = git("rev-parse", "HEAD", cwd=REPOSITORY)
    if arguments.anew or not SESSION.exists() or git("rev-parse", "HEAD", cwd=TREE) != commit:
        begin(commit, arguments.size)
    git("checkout", "-q", "--", "dlexp", cwd=TREE)  # a fault that an interrupted call has left there
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(TREE), str(TREE / "dlexp" / "plugins")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = ["cosmic-ray", "exec", str(HERE / "cosmic-ray.toml"), str(SESSION)]
    subprocess.run(command, cwd=TREE, env=environment, check=True)
    text = report(commit)
    (HERE / "survivors.md").write_text(text)
    print(text.split("## ")[0])


def begin(commit: str, size: int) -> None:
    """Make a copy of the commit, and the list of what is to be planted."""
    PLACE.mkdir(exist_ok=True)
    if TREE.exists():
        git("worktree", "remove", "--force", str(TREE), cwd=REPOSITORY)
    git("worktree", "add", "--detach", str(TREE), commit, cwd=REPOSITORY)
    SESSION.unlink(missing_ok=True)
    os.chdir(TREE)
    database = WorkDB(SESSION, WorkDB.Mode.create)
    init(find_modules([Path(path) for path in CONFIG["module-path"]]), database, {})
    chosen = sample(list(database.work_items), size)
    database.clear()
    database.add_work_items(chosen)
    database.close()
    os.chdir(REPOSITORY)


def sample(items: list[WorkItem], size: int) -> list[WorkItem]:
    """Return ``size`` of the faults: as many in each folder, at most one at a place.

    Places are drawn, then one of the faults at each: one comparison alone can be replaced by seven others.
    """
    folders = [Path(path) for path in CONFIG["module-path"]]
    by_place: dict[Path, dict[tuple[str, object, str], list[WorkItem]]] = {
        f: defaultdict(list) for f in folders
    }
    for item in items:
        (mutation,) = item.mutations
        if UNFAIR.fullmatch(mutation.operator_name):
            continue
        folder = next(folder for folder in folders if folder in mutation.module_path.parents)
        family = mutation.operator_name.split("_")[0]
        by_place[folder][str(mutation.module_path), mutation.start_pos, family].append(item)
    generator = random.Random(0)
    chosen = []
    for index, folder in enumerate(folders):
        count = size // len(folders) + (index < size % len(folders))
        places = sorted(by_place[folder], key=str)
        for place in generator.sample(places, min(count, len(places))):
            alike = sorted(by_place[folder][place], key=lambda item: item.mutations[0].operator_name)
            chosen.append(generator.choice(alike))
    return chosen


def report(commit: str) -> str:
    """Return the score and the survivors as Markdown."""
    database = WorkDB(SESSION, WorkDB.Mode.open)
    results = dict(database.results)
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    survivors = []
    for item in database.work_items:
        result = results.get(item.job_id)
        if result is None:
            continue
        (mutation,) = item.mutations
        is_noticed = result.test_outcome != TestOutcome.SURVIVED
        folder = mutation.module_path.parts[1]
        counts[folder][0] += is_noticed
        counts[folder][1] += 1
        if not is_noticed:
            survivors.append((str(mutation.module_path), mutation.start_pos, mutation, result))
    database.close()
    noticed, planted = (sum(column) for column in zip(*counts.values(), strict=True))
    lines = [
        "# Would the tests notice?",
        "",
        f"`make mutants` at {commit[:7]}: **{noticed} of {planted} planted faults noticed** "
        f"({noticed / planted:.0%}), each within 40 s of processor time by the tests of its file, its folder "
        "and the laws.",
        "",
        "| folder | noticed | planted |",
        "|---|---|---|",
        *(f"| {folder} | {own[0]} | {own[1]} |" for folder, own in sorted(counts.items())),
        "",
        "## Not noticed",
        "",
    ]
    for path, (row, _), mutation, result in sorted(survivors, key=lambda survivor: survivor[:2]):
        stopped = ", tests stopped at the limit" if "limit" in (result.output or "") else ""
        changed = [line for line in (result.diff or "").splitlines() if re.match(r"[-+][^-+]", line)]
        place = f"{path}:{row} in `{mutation.definition_name or 'the module'}`"
        lines += [f"{place} ({mutation.operator_name}{stopped})", "```diff", *changed, "```", ""]
    return "\n".join(lines)


def git(*arguments: str, cwd: Path) -> str:
    """Return what git prints."""
    return subprocess.run(
        ["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
