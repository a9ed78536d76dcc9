"""What there is to choose, ``dlexp-train --list studies``: a line each, from comments of the YAML files."""

from collections.abc import Iterator
from pathlib import Path

from dlexp.config.errors import not_allowed
from dlexp.config.resolve import conf_directory

GROUPS = {
    "studies": "study",
    "data": "data",
    "models": "model",
    "callbacks": "callbacks",
    "optimizers": "optimizer",
    "loggers": "logger",
}
"""From what is listed to the group that holds it."""


def listing(wanted: str) -> str:
    """Return the options of a group with what they are, a line each.

    Raises ``SystemExit`` with a sentence for a group that does not exist.
    """
    if wanted not in GROUPS:
        allowed = f"one of {', '.join(GROUPS)}"
        raise SystemExit(not_allowed("--list", wanted or "nothing", allowed, GROUPS).replace("=", " ", 1))
    found = dict(_described(conf_directory() / GROUPS[wanted]))
    longest = max(map(len, found))
    return "\n".join(f"{name:{longest}}  {text}" for name, text in found.items())


def _described(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each option's name and the first sentence of its comment, after the command that chooses it."""
    for path in sorted(folder.glob("*.yaml")):
        if path.stem.startswith("_") or path.stem == "base":
            continue
        comments = [line[1:].strip() for line in path.read_text().splitlines() if line.startswith("#")]
        texts = [line for line in comments if not line.startswith(("python ", "@package"))]
        yield path.stem, texts[0] if texts else ""
