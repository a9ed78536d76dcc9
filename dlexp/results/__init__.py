"""From runs on disk to findings: tables, statistics and their intervals, claims and studies; no torch."""
