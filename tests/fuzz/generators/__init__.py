"""Writers of inputs: a valid seed from a grammar, then structured mutations, then mutations of bytes."""
