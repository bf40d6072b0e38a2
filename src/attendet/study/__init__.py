"""Does it help? Arms that differ in one thing, paired by seed, and what their differences can and cannot say."""
