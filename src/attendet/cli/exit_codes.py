"""How a command ends, as the shell sees it."""

DEFECTS = 1
"""The work was done, and not all of it is well."""
REFUSED = 2
"""The user can put it right; one line said how."""
INTERRUPTED = 130
"""Ctrl-C, as shells count it."""
