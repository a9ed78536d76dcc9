"""Pure functions of a model and tensors: no config, no trainer, no input or output."""
