"""The configuration: typed schema, value checks, identity of a run. Nothing here imports torch."""
