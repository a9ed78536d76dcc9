"""``python scripts/gallery.py``: bring ``docs/gallery.md`` up to date with the studies in ``outputs``."""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from dlexp.config.identity import identity
from dlexp.config.plain import to_plain
from dlexp.config.resolve import conf_directory, register
from dlexp.records.files import write_atomically
from dlexp.report.gallery import gallery_entry, gallery_text
from dlexp.report.index import figures_on_disk, read_studies
from dlexp.results.kept import PACKAGE, load_python
from dlexp.results.study import study_of

FILE = "gallery.json"


def study_names() -> list[str]:
    """Return the names of all studies."""
    return sorted(path.stem for path in (conf_directory() / "study").glob("*.yaml"))


def settings_digests() -> dict[str, str]:
    """Return for each study a digest of its settings, as Hydra composes them, its question and its claims."""
    from hydra import compose, initialize_config_dir

    register()
    digests = {}
    with initialize_config_dir(str(conf_directory()), version_base="1.3"):
        for name in study_names():
            config = compose("train", [f"study={name}"], return_hydra_config=True)
            digests[name] = _digest(name, config)
    return digests


def _digest(name: str, config: Any) -> str:
    from omegaconf import OmegaConf

    study = study_of(load_python(f"{PACKAGE}.{name}")[0], name, name)
    settings = {
        "job": identity(to_plain(config)),
        "study": OmegaConf.to_container(config.study, resolve=True),
        "sweep": OmegaConf.to_container(config.hydra.sweeper.params, resolve=True),
        "question": study.question,
        "claims": [claim.as_data() for claim in study.claims],
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def main(outputs: Path = Path("outputs"), page: Path = Path("docs/gallery.md")) -> int:
    """Copy the main figures, write ``gallery.json`` and the page; return the exit code."""
    digests = settings_digests()
    found = {results.folder.name: results for results in read_studies(outputs)}
    missing = [name for name in digests if (r := found.get(name)) is None or not r.study or r.study.fast]
    if missing:
        print(f"No results of {', '.join(missing)} in {outputs}: run `make studies` first.", file=sys.stderr)
        return 1
    folder = outputs / "gallery"
    folder.mkdir(exist_ok=True)
    entries = {}
    for name, digest in digests.items():
        figures = figures_on_disk(found[name])
        figure = f"{name}.png" if figures else None
        if figure:
            shutil.copyfile(figures[0].path, folder / figure)
        entries[name] = gallery_entry(found[name], figure, digest)
    write_atomically(folder / FILE, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
    write_atomically(page, gallery_text(entries))
    print(f"{page} and {folder} show {len(entries)} studies.")
    return 0
