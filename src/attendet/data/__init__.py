"""Data sets on disk → records → batches."""
