"""Hostile inputs for all readers: generated from a seed, read in a child process with limits and an audit hook.

`make fuzz` runs it for as long as you like and writes the table of docs/reliability.md; `make test` runs some
inputs of each kind.
"""
