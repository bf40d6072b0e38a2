"""A file-wide `activation:`, read without evaluating it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import partial

from torch import nn

from attendet.errors import ModelFileError, unknown_name
from attendet.utils.yaml_nodes import Node

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    cls.__name__: cls
    for cls in (
        nn.ELU,
        nn.GELU,
        nn.Hardswish,
        nn.Identity,
        nn.LeakyReLU,
        nn.Mish,
        nn.ReLU,
        nn.ReLU6,
        nn.SiLU,
        nn.Sigmoid,
        nn.Softplus,
        nn.Tanh,
    )
}


def read_activation(node: Node) -> Callable[[], nn.Module]:
    """Return what makes the activation that a text like `nn.LeakyReLU(0.1)` names.

    Raises:
        ModelFileError: If it is no known activation, or its arguments are no numbers.

    Example:
        >>> from attendet.utils.yaml_nodes import parse
        >>> read_activation(parse("nn.LeakyReLU(0.1)", "a.yaml"))()
        LeakyReLU(negative_slope=0.1)
    """
    try:
        call = ast.parse(str(node.value)[:100], mode="eval").body
        function = call.func if isinstance(call, ast.Call) else call
        values = [ast.literal_eval(arg) for arg in call.args] if isinstance(call, ast.Call) else []
        options = {k.arg or "": ast.literal_eval(k.value) for k in call.keywords} if isinstance(call, ast.Call) else {}
        name = ast.unparse(function).removeprefix("torch.").removeprefix("nn.")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise node.error(f"{node.plain()!r} names no activation", remedy="write nn.ReLU() or the like") from error
    if name not in ACTIVATIONS:
        unknown = unknown_name("activation", name, ACTIVATIONS)
        raise ModelFileError(unknown.message, where=node.location, remedy=unknown.remedy)
    make = partial(ACTIVATIONS[name], *values, **options)
    try:
        make()
    except (TypeError, ValueError) as error:
        raise node.error(f"{node.plain()!r} cannot be made: {error}") from error
    return make


def replace_activations(module: nn.Module, make: Callable[[], nn.Module]) -> nn.Module:
    """Put a new activation in place of every SiLU inside a module, and return the module."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.SiLU):
                setattr(parent, name, make())
    return module
