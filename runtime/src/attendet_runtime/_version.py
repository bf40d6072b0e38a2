"""The version of attendet-runtime, which is the version of the attendet that its files come from."""

__version__ = "0.1.0.dev0"
