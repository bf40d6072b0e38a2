"""Terminal output: console, tables, progress bars."""
