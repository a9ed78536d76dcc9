"""The report of a sweep and the index over studies: pages of one file each, which need no network."""

from dlexp.studies.report.images import Figure
from dlexp.studies.report.index import IndexEntry, render_index
from dlexp.studies.report.page import render_report

__all__ = ["Figure", "IndexEntry", "render_index", "render_report"]
