"""Says by its exit code whether the tests notice the fault that is planted in this tree: 1 if one fails.

The tests of the mutated file come first, then its folder's, then the laws that concern it, until one fails or
40 s have passed: what takes longer to be found counts as not noticed. cosmic-ray runs this for each fault;
``python tests/mutants/judge.py dlexp/train/loop.py`` shows what it would run for a file, on sound code.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LIMIT_S = 40
NOTICED = (1, 2, 3)  # pytest: a test failed, a test file could not be loaded, pytest itself broke
NO_TESTS = 5

CHEAP = "plain or uneven or mup or wide_and or threshold or patience or divergence or raises"
STATE = "pruning_mixed or pruning_rewound or twin_out_of_order or stops_with_twins or barrier_to_twin"
TRAINING = f"(test_stacks and ({STATE} or {CHEAP})) or test_textbook or test_optimizers or test_unlisted"
FILES = "test_faults or test_order_and_place"
LAWS_OF = {
    "train": f"{TRAINING} or {FILES} or test_randomness",
    "records": FILES,
    "launch": FILES,
    "measures": "test_stacks and (hessian or ntk or sharpness or landscape or geometry or barrier or pruning)",
    "callbacks": "test_stacks and (two_callbacks or hessian or pruning_mixed or twin_out_of_order)",
}
"""By folder, the laws that a fault there can break; of a callback, first the strata of its name."""


def tests_of(module: Path) -> list[str]:
    """Return the tests of a module's own name, then those of its folder."""
    _, *folders, name = module.parts
    stem = name.removesuffix(".py")
    own: list[str] = []
    for depth in range(len(folders), 0, -1):
        place = Path("tests", *folders[:depth])
        if not place.is_dir():
            continue
        own += sorted(str(path) for path in place.glob(f"test_{stem}*.py"))
        own.append(str(place))
    return list(dict.fromkeys(own))


def runs_for(module: Path) -> list[list[str]]:
    """Return the arguments of each run of pytest."""
    folder, runs = module.parts[1], [tests_of(module)]
    if folder == "callbacks":
        runs.append(["tests/laws", "-k", f"test_stacks and {module.stem}"])
    if folder in LAWS_OF:
        runs.append(["tests/laws", "-k", LAWS_OF[folder]])
    return [run for run in runs if run]


def main() -> None:
    """Run the tests of the mutated file; exit with 1 if one fails, with 0 if none does in time."""
    module = Path(sys.argv[1]) if len(sys.argv) > 1 else mutated()
    end = time.monotonic() + LIMIT_S
    for run in runs_for(module):
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *run]
        process = subprocess.Popen(command, start_new_session=True)
        try:
            code = process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            print(f"limit of {LIMIT_S} s reached without a failure")
            sys.exit(0)
        if code in NOTICED:
            sys.exit(1)
        if code not in (0, NO_TESTS):
            raise SystemExit(f"pytest ended with {code}: {run}")


def mutated() -> Path:
    """Return the module that differs from the commit."""
    command = ["git", "diff", "--name-only", "--", "dlexp"]
    (name,) = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return Path(name)


if __name__ == "__main__":
    main()
