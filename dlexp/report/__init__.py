"""What is shown of a sweep: tables, figures, a report of one file, and the index over many studies."""
