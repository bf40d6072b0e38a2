"""Terminal output: console, tables, and progress bars."""
