from .argument_rewriting import DeclaredOptions as DeclaredOptions
from .argument_rewriting import rewrite_arguments as rewrite_arguments

__all__ = ["DeclaredOptions", "rewrite_arguments"]
