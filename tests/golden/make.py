"""Make the golden sweeps: each study's ``debug=fast`` sweep, packed, beside what follows from it.

    python tests/golden/make.py [STUDY ...]

``NAME/sweep.zip`` holds the runs and the study as the sweep left them, ``NAME/expected.json`` the rows of
runs.csv and summary.csv, the claims and what the figures show. tests/results/test_golden.py computes these
again from the runs. Make them anew only where a result is meant to change, and look at the difference.
"""

import csv
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).resolve().parent
RUN_FILES = ("result.json", "metrics.csv", "arrays.npz")


def follows(folder: Path) -> dict[str, Any]:
    """Return what follows from a sweep's folder, as plain data; nothing is written into it."""
    from dlexp.plots import look
    from dlexp.report.figures import draw, figures_of
    from dlexp.report.results import read
    from dlexp.report.tables import csv_text, runs_rows, summary_rows
    from dlexp.results.verdict import claims_json

    results = read(folder)
    summary = results.table.summary
    with look():
        figures = figures_of(results.study, results.table, folder.name)
        shown = {figure.name: contents(draw(figure, results.table)) for figure in figures}
    return {
        "runs": list(csv.DictReader(io.StringIO(csv_text(runs_rows(summary))))),
        "summary": list(csv.DictReader(io.StringIO(csv_text(summary_rows(summary))))),
        "claims": json.loads(claims_json(results.findings)),
        "figures": shown,
    }


def contents(page: Any) -> list[dict[str, Any]]:
    """Return what each panel of a figure holds: its names, its scales, its lines with their values."""
    return [
        {
            "title": axes.get_title(),
            "names": [axes.get_xlabel(), axes.get_ylabel()],
            "scales": [axes.get_xscale(), axes.get_yscale()],
            "lines": [
                [
                    str(line.get_label()),
                    *([float(f"{v:.7g}") for v in data] for data in line.get_data(orig=True)),
                ]
                for line in axes.lines
            ],
            "texts": sorted(text.get_text() for text in axes.texts),
        }
        for axes in page.axes
    ]


def make(name: str) -> None:
    """Run a study's quick look and store it."""
    with tempfile.TemporaryDirectory() as parent:
        sweep = Path(parent) / name
        command = ["scripts/train.py", f"study={name}", "debug=fast", f"hydra.sweep.dir={sweep}"]
        subprocess.run([sys.executable, *command], cwd=REPOSITORY, check=True)
        folder = GOLDEN / name
        folder.mkdir(exist_ok=True)
        files = [path for kept in RUN_FILES for path in sweep.glob(f"*/{kept}")]
        with zipfile.ZipFile(folder / "sweep.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted([*files, sweep / "study.json"]):
                entry = zipfile.ZipInfo(path.relative_to(sweep).as_posix())  # without a date
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
        text = json.dumps(follows(sweep), indent=1, ensure_ascii=False)
        (folder / "expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    for study in sys.argv[1:] or sorted(path.stem for path in (REPOSITORY / "conf" / "study").glob("*.yaml")):
        make(study)
