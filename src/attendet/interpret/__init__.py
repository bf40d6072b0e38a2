"""What attention does while a network runs: the very tensors, in bounded memory, and nothing left behind."""
