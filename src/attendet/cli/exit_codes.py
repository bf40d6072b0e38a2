"""The exit codes of the command."""

DEFECTS = 1
"""The command finished, but skipped inputs or found faults."""
REFUSED = 2
"""The user made a mistake, which one line on standard error explains."""
INTERRUPTED = 130
"""The command was interrupted with Ctrl-C (128 + SIGINT, as in shells)."""
