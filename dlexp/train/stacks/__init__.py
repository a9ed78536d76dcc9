"""Many chains of linear layers trained as one: padded stacks, their gradients, one optimizer over all."""
