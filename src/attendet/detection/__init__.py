"""Functions of raw maps and decoded boxes."""
