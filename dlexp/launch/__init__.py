"""Commands and sweeps: jobs checked together, run as ensembles here or elsewhere, and what is shown of it."""
