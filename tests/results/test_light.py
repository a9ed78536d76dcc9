"""Results, reports and studies are read without the libraries that take seconds to import."""

import subprocess
import sys

CODE = """
import importlib, pkgutil, sys
import dlexp.records, dlexp.report, dlexp.results, dlexp.studies
for package in (dlexp.records, dlexp.report, dlexp.results, dlexp.studies):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if module.name not in NEEDS_TORCH:
            importlib.import_module(module.name)
print(sorted({"torch", "matplotlib", "pandas", "scipy", "hydra", "rich", "jinja2"} & set(sys.modules)))
"""
NEEDS_TORCH = ("dlexp.records.recorder", "dlexp.records.checkpoint", "dlexp.records.tensorboard")


def test_nothing_heavy_is_imported_before_it_is_used():
    code = f"NEEDS_TORCH = {NEEDS_TORCH!r}\n{CODE}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
