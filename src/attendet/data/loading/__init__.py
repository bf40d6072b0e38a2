"""Records → images → augmented batches."""
