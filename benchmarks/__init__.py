"""dlexp beside other ways of doing the same, in turn in one run: ``python -m benchmarks``."""
