"""What the measuring callbacks draw: pure functions from numbers to matplotlib figures."""
