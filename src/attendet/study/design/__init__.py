"""The design of a study: schema, checks, and grid of runs."""
