"""The full studies, on seeds that nothing was tried on, against what is known of them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dlexp.studies.claims import Finding

from dlexp.report.results import read

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def findings_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Finding]]:
    """Return a function that runs a study on seeds 5 to 9, once, and returns its findings by claim."""
    found: dict[str, dict[str, Finding]] = {}

    def run(study: str) -> dict[str, Finding]:
        if study not in found:
            folder = tmp_path_factory.mktemp(study)
            arguments = [f"study={study}", "seed=range(5,10)", f"hydra.sweep.dir={folder}"]
            subprocess.run(
                [sys.executable, "scripts/train.py", *arguments], cwd=REPOSITORY, check=True, timeout=900
            )
            found[study] = {finding.name: finding for finding in read(folder).findings}
        return found[study]

    return run
