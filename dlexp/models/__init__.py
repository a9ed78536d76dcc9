"""Neural networks: the MLP family, linear and random-feature models."""
