"""dlexp: claims of deep-learning theory as experiments anyone can re-run, sweep and check."""
