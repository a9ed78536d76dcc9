"""Many chains of linear layers trained as one: zero-padded stacks, products, an optimizer over all of them."""
