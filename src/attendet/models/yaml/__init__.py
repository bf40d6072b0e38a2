"""Read model files: rows, attention dialects, and trial builds on the meta device."""
