"""Carry out the runs of a study and record their results."""
