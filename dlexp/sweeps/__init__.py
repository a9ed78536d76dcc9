"""Sweeps: composing, checking and running many jobs, and what the terminal shows of it."""
