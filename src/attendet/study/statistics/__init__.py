"""Statistics of paired runs: tests, intervals, power, verdicts."""
