"""Data: the laws that samples are drawn from, the data module, batches in memory."""
