"""Putting an attention module into a network, and taking it out again.

The module becomes a child of the one it is attached to, and a function of this file, bound to the child's name alone,
becomes a hook there: a copy of the network, by `copy.deepcopy` or pickle, then calls its own child and not the
original's. The class, the keys and the source of the network stay as they are.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeGuard

from torch import Tensor, nn

from attendet.attention.base import Attention
from attendet.surgery.attachment_plan import Site

HookArguments = tuple[tuple[Any, ...], dict[str, Any]]


def weigh_output(child: str, module: nn.Module, _: Any, output: Tensor) -> Tensor:
    """Return what a module gives, weighed by its child."""
    return getattr(module, child)(output)


def weigh_input(child: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> HookArguments:
    """Return the arguments of a module with the one tensor among them weighed by its child."""
    attention = getattr(module, child)
    weighed = tuple(attention(value) if isinstance(value, Tensor) else value for value in args)
    return weighed, {key: attention(value) if isinstance(value, Tensor) else value for key, value in kwargs.items()}


def insert(model: nn.Module, site: Site, attention: nn.Module) -> nn.Module:
    """Put an attention module at a site and return the module that was there before, or the one it now belongs to.

    It trains if what is there does.

    At the output of a plain `nn.Sequential` the child is simply its last: it would run twice with a hook.
    """
    target = model.get_submodule(site.path)
    attention.train(target.training)
    if site.side == "replaced":
        parent, name = parent_of(model, site.path)
        parent.register_module(name, attention)
        return target
    target.add_module(site.child, attention)
    if site.side == "input":
        target.register_forward_pre_hook(partial(weigh_input, site.child), with_kwargs=True)
    elif not runs_children(target):
        target.register_forward_hook(partial(weigh_output, site.child))
    return target


def remove(model: nn.Module, site: Site, original: nn.Module | None) -> None:
    """Take an attention module out; its site is then as it was before, dictionary by dictionary.

    Args:
        model: The network.
        site: Where the module sits.
        original: What stood there before, for a site that was replaced.
    """
    if site.side == "replaced":
        parent, name = parent_of(model, site.path)
        parent.register_module(name, original)
        return
    target = model.get_submodule(site.path)
    for hooks in (target._forward_hooks, target._forward_pre_hooks):
        for number, hook in list(hooks.items()):
            if is_ours(hook, site.child):
                del hooks[number]
                target._forward_pre_hooks_with_kwargs.pop(number, None)
    delattr(target, site.child)


def is_in_place(model: nn.Module, site: Site) -> bool:
    """Return whether a site still has its attention module, and something that calls it."""
    try:
        target = model.get_submodule(site.path)
        model.get_submodule(site.module)
    except AttributeError:
        return False
    if site.side == "replaced":
        return isinstance(target, Attention)
    if site.side == "output" and runs_children(target):
        return True
    hooks = target._forward_hooks if site.side == "output" else target._forward_pre_hooks
    return any(is_ours(hook, site.child) for hook in hooks.values())


def is_ours(hook: Any, child: str) -> bool:
    """Return whether a hook calls a child by this name."""
    return isinstance(hook, partial) and hook.func in (weigh_output, weigh_input) and hook.args == (child,)


def is_bare(module: nn.Module) -> bool:
    """Return whether nothing hangs on a module that would change what it takes or gives."""
    return not module._forward_hooks and not module._forward_pre_hooks


def runs_children(module: nn.Module) -> TypeGuard[nn.Sequential]:
    """Return whether a module does nothing but run its children in turn."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def lists_children(module: nn.Module) -> bool:
    """Return whether a module is a list of children that it runs in its own way: one more would be run as well."""
    return isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict) and not runs_children(module)


def parent_of(model: nn.Module, path: str) -> tuple[nn.Module, str]:
    """Return the module that holds the one at a path, and the name it has there."""
    parent, _, name = path.rpartition(".")
    return model.get_submodule(parent), name
