"""Which code a result comes from: versions of libraries, and the commit of dlexp's own checkout."""

import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("dlexp", "torch", "pytorch-lightning", "hydra-core", "omegaconf", "numpy")


@cache
def library_versions() -> Mapping[str, str]:
    """Return the versions of what the numbers depend on."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


@cache
def checkout() -> tuple[str | None, bool | None]:
    """Return the commit of the checkout that dlexp runs from, and whether its tracked files are unchanged.

    Both are None for a dlexp that was installed from a package, or where git is not there.
    """
    package = Path(__file__).resolve().parents[1]
    if not (package.parent / ".git").exists():  # a checkout of something else may hold an installed dlexp
        return None, None
    commit = _git(package, "rev-parse", "HEAD")
    changes = _git(package, "status", "--porcelain", "--untracked-files=no", ".", "../conf")
    return commit, None if changes is None else not changes


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        found = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
