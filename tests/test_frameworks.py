"""Importing the frameworks leaves the garbage collector as it was, and nothing of ours out of its sight."""

import subprocess
import sys


def test_only_the_first_import_sets_objects_aside():
    code = """
import gc
from dlexp.frameworks import import_frameworks
import_frameworks()
assert gc.isenabled()
set_aside = gc.get_freeze_count()
assert set_aside > 100_000, set_aside
kept = [[] for _ in range(1000)]
import_frameworks()
assert gc.get_freeze_count() == set_aside
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
