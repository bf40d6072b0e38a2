"""Data sets on disk → validated records."""
