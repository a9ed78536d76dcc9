"""Says by its exit code whether the tests notice the fault that is planted in this tree: 1 if one fails.

The tests of the mutated file come first, then the laws that concern it and its folder's tests, until one
fails or 40 s of processor time are used: what takes longer to be found counts as not noticed. cosmic-ray runs
this for each fault; ``python tests/mutants/judge.py dlexp/train/loop.py`` runs it for a file of sound code.
"""

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

LIMIT_S = 40  # of processor time: a busy machine changes no verdict
PATIENCE_S = 300  # for one that waits for ever
NOTICED = (1, 2, 3)  # pytest: a test failed, a test file could not be loaded, pytest itself broke
NO_TESTS = 5

STACKS = "tests/laws/test_stacks.py::test_a_stack_equals_its_members_alone"
STATE = ("pruning_mixed", "pruning_rewound", "twin_out_of_order", "one_by_one", "restarts", "raises")
SETTINGS = ("plain", "uneven_batches", "mup", "wide_and_narrow", "patience", "divergence")
MEASURED = ("hessian", "ntk", "sharpness", "landscape", "geometry", "barrier_to_twin", "pruning_global")
FILES = ("tests/faults/test_writes.py", "tests/laws/test_order_and_place.py", "tests/faults/test_files.py")


def strata(*names: str) -> list[str]:
    """Return the law of stacks in some strata."""
    return [f"{STACKS}[{name}-0]" for name in names]


LAWS_OF = {
    "train": [
        *strata(*STATE),
        "tests/laws/test_textbook.py",
        *strata(*SETTINGS),
        *(f"tests/laws/test_{name}.py" for name in ("unlisted", "optimizers", "randomness")),
        *FILES,
    ],
    "records": [*FILES],
    "launch": ["tests/launch", "tests/cli/test_train.py", *FILES],
    "measures": strata(*MEASURED),
    "callbacks": strata("two_callbacks", "twin_out_of_order", "pruning_mixed", "stops_with_twins"),
}
"""By folder, the laws that a fault there can break."""


def tests_for(module: Path) -> list[list[str]]:
    """Return what pytest is asked to run for a module, one call after the other."""
    _, *folders, name = module.parts
    stem = name.removesuffix(".py")
    places = [Path("tests", *folders[:depth]) for depth in range(len(folders), 0, -1)]
    places = [place for place in places if place.is_dir()]
    own = [str(path) for place in places for path in sorted(place.glob(f"test_{stem}*.py"))]
    laws = LAWS_OF.get(folders[0], [])
    others = [str(path) for place in places for path in sorted(place.rglob("test_*.py"))]
    words = words_about(module)
    by_mentions = sorted(dict.fromkeys(others), key=lambda path: -mentions(Path(path), words))
    rest = [path for path in by_mentions if path not in own]
    # Most state lies in training, and the laws find its faults soonest.
    calls = [own, laws, rest] if folders[0] == "train" else [own, rest, laws]
    return [
        call for call in ([t for t in tests if Path(t.split("::")[0]).exists()] for tests in calls) if call
    ]


def words_about(module: Path) -> set[str]:
    """Return what tests of a module may mention: its name, what it defines, the modules that import it."""
    defined = re.findall(
        r"^(?:def|class) ([a-zA-Z]\w+)|^([A-Z]\w+) =", module.read_text(), flags=re.MULTILINE
    )
    dotted = ".".join(module.with_suffix("").parts)
    users = {path.stem for path in Path("dlexp").rglob("*.py") if re.search(rf"{dotted}\b", path.read_text())}
    return {module.stem, *(name for names in defined for name in names if name), *users} - {"__init__"}


def mentions(test: Path, words: set[str]) -> float:
    """Return how often a test file mentions these words, its own name above all, for its length."""
    text = test.read_text()
    count = len(re.findall(rf"\b(?:{'|'.join(words)})\b", text)) / (20 + text.count("\n"))
    return count + sum(word in test.stem for word in words)


def main() -> None:
    """Run the tests of the mutated file; exit with 1 if one fails, with 0 if none does in time."""
    module = Path(sys.argv[1]) if len(sys.argv) > 1 else mutated()
    left = float(LIMIT_S)
    for tests in tests_for(module):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        code = run(tests, max(1, round(left)))
        if code in NOTICED:
            sys.exit(1)
        if code < 0:
            break
        if code not in (0, NO_TESTS):
            raise SystemExit(f"pytest ended with {code}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        left -= after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if left <= 0:
            break
    else:
        sys.exit(0)
    print("limit reached without a failure")


def run(tests: list[str], limit_s: int) -> int:
    """Run tests until one fails; return pytest's exit code, a negative one where the limit ended it."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
    process = subprocess.Popen(
        command,
        start_new_session=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 1)),
    )
    try:
        return process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever the tests have started
        process.wait()


def mutated() -> Path:
    """Return the module that differs from the commit."""
    command = ["git", "diff", "--name-only", "--", "dlexp"]
    (name,) = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return Path(name)


if __name__ == "__main__":
    main()
