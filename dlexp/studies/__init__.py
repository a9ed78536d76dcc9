"""Results of a sweep: runs, summary over replicates, table, figures; made from the folder at any time."""
