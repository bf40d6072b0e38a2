"""Match the tensors of a file with the tensors of a model by structure."""
