"""Download public data sets and unpack them safely."""
