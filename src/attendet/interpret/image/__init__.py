"""What a network's attention looks at, and what it changes."""
