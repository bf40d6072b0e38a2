"""Functions of tensors that the modules are made of."""
