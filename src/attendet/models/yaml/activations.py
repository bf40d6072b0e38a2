"""The activation of a model file: read without evaluating code, and put in place of SiLU."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import partial

from torch import nn

from attendet.errors import ModelFileError, unknown_name
from attendet.utils.yaml_nodes import Node

_ACTIVATIONS: Mapping[str, type[nn.Module]] = {
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
_MAX_LENGTH = 100


def read_activation(node: Node) -> Callable[[], nn.Module]:
    """Return a function that creates the activation of a text such as `nn.LeakyReLU(0.1)`.

    Args:
        node: The value of `activation` in a model file.

    Raises:
        ModelFileError: If the text does not name a known activation, or its arguments are invalid.

    Example:
        >>> from attendet.utils.yaml_nodes import parse
        >>> read_activation(parse("nn.LeakyReLU(0.1)", "a.yaml"))()
        LeakyReLU(negative_slope=0.1)
    """
    try:
        call = ast.parse(str(node.value)[:_MAX_LENGTH], mode="eval").body
        function = call.func if isinstance(call, ast.Call) else call
        values = [ast.literal_eval(arg) for arg in call.args] if isinstance(call, ast.Call) else []
        options = {k.arg or "": ast.literal_eval(k.value) for k in call.keywords} if isinstance(call, ast.Call) else {}
        name = ast.unparse(function).removeprefix("torch.").removeprefix("nn.")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        message = f"`activation` must be the name of an activation with constant arguments, got {node.plain()!r}"
        raise node.error(message, remedy="write nn.ReLU() or nn.LeakyReLU(0.1)") from error
    if name not in _ACTIVATIONS:
        unknown = unknown_name("activation", name, _ACTIVATIONS)
        raise ModelFileError(unknown.message, where=node.location, remedy=unknown.remedy)
    create = partial(_ACTIVATIONS[name], *values, **options)
    try:
        create()
    except (TypeError, ValueError) as error:
        raise node.error(f"`activation` {node.plain()!r} cannot be created: {error}") from error
    return create


def replace_activations(module: nn.Module, create: Callable[[], nn.Module]) -> nn.Module:
    """Replace every SiLU inside a module by a new activation, in place, and return the module."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.SiLU):
                setattr(parent, name, create())
    return module
