"""Read pickles into descriptions and tensors without running them."""
