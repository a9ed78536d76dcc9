"""The benchmark: dlexp beside other ways of doing the same, in turn in one run (``scripts/bench.py``)."""
