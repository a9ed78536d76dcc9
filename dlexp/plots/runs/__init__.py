"""Figures of one run, from the arrays that its callbacks measured."""
