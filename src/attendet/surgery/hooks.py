"""Insert attention modules into a network, and remove them.

An attention module becomes a child of the module that it is attached to. A function of this file, bound to the name of
the child, becomes a hook of that module. Because the hook holds a name and not a module, a copy of the network, made by
`copy.deepcopy` or pickle, calls its own child and not the child of the original. The class and the source code of the
network do not change, and no existing key of its state dict does. A layer of torch gets a subclass of its class, so
that fusion and quantization leave it alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeGuard

from torch import Tensor, nn

from attendet.attention.base import Attention
from attendet.errors import OptionError
from attendet.surgery.attachment_plan import AttachmentPoint, Site
from attendet.surgery.attended_classes import protect, unprotect

HookArguments = tuple[tuple[Any, ...], dict[str, Any]]


def apply_to_output(child: str, module: nn.Module, _: Any, output: Tensor) -> Tensor:
    """Forward hook: apply a child to the output of its parent."""
    return _attention_of(module, child)(output)


def apply_to_input(child: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> HookArguments:
    """Forward pre-hook: apply a child to the only tensor among the arguments of its parent."""
    attention = _attention_of(module, child)
    new_args = tuple(attention(value) if isinstance(value, Tensor) else value for value in args)
    return new_args, {key: attention(value) if isinstance(value, Tensor) else value for key, value in kwargs.items()}


def _attention_of(module: nn.Module, child: str) -> nn.Module:
    attention = module._modules.get(child)
    if attention is None:
        raise OptionError(
            f"the attention at a {type(module).__name__} is lost: a tool copied its hook from another layer, but not "
            "the attention",
            remedy="use the tool before attaching attention, or fold batch norms with `attendet.fuse`",
        )
    return attention


def insert_module(model: nn.Module, site: Site, attention: nn.Module) -> nn.Module:
    """Insert an attention module at a site, and return the module that it replaces or is attached to.

    The attention module is put into the mode, training or evaluation, of the other module. At the output of a plain
    `nn.Sequential`, it becomes the last child without a hook, because with one it would run twice.
    """
    target = model.get_submodule(site.path)
    attention.train(target.training)
    if site.side == "replaced":
        parent, name = parent_of(model, site.path)
        parent.register_module(name, attention)
        return target
    target.add_module(site.child, attention)
    hook_module(target, site)
    return target


def hook_module(target: nn.Module, site: Site) -> None:
    """Register the hook that calls the attention module of a site, its child, unless the module runs all children."""
    if site.side == "input":
        target.register_forward_pre_hook(partial(apply_to_input, site.child), with_kwargs=True)
    elif not is_plain_sequential(target):
        target.register_forward_hook(partial(apply_to_output, site.child))
    protect(target)


def remove_module(model: nn.Module, site: Site, original: nn.Module | None) -> None:
    """Remove an attention module; the attributes of the site are then equal to those before the insertion.

    Args:
        model: The network.
        site: The place of the attention module.
        original: The module that it replaced, if it did.
    """
    if site.side == "replaced":
        parent, name = parent_of(model, site.path)
        parent.register_module(name, original)
        return
    target = model.get_submodule(site.path)
    for hooks in _hooks_of(target):
        for number, hook in list(hooks.items()):
            if is_attention_hook(hook, site.child):
                del hooks[number]
                target._forward_pre_hooks_with_kwargs.pop(number, None)
    delattr(target, site.child)
    if not any(_is_hook_of_attention(hook) for hooks in _hooks_of(target) for hook in hooks.values()):
        unprotect(target)


def is_in_place(model: nn.Module, site: Site) -> bool:
    """Return whether a site still has its attention module and the hook that calls it."""
    target = find_module(model, site.path)
    if target is None or site.side == "replaced":
        return isinstance(target, Attention)
    if site.child not in target._modules:
        return False
    if site.side == "output" and is_plain_sequential(target):
        return True
    hooks = target._forward_hooks if site.side == "output" else target._forward_pre_hooks
    return any(is_attention_hook(hook, site.child) for hook in hooks.values())


def find_module(model: nn.Module, path: str) -> nn.Module | None:
    """Return the module at a path, or None; faster than `get_submodule`."""
    module: nn.Module | None = model
    for name in path.split(".") if path else ():
        module = module._modules.get(name) if module is not None else None
    return module


def is_attention_hook(hook: Any, child: str) -> bool:
    """Return whether a hook was registered by `hook_module` for a child with this name."""
    return _is_hook_of_attention(hook) and hook.args == (child,)


def _is_hook_of_attention(hook: Any) -> bool:
    return isinstance(hook, partial) and hook.func in (apply_to_output, apply_to_input)


def _hooks_of(module: nn.Module) -> tuple[dict[int, Any], dict[int, Any]]:
    return module._forward_hooks, module._forward_pre_hooks


def has_forward_hooks(module: nn.Module) -> bool:
    """Return whether a module has hooks that can change its input or output."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def is_plain_sequential(module: nn.Module) -> TypeGuard[nn.Sequential]:
    """Return whether a module only runs its children one after the other, as `nn.Sequential` does."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def input_point(model: nn.Module, path: str) -> AttachmentPoint:
    """Return the point directly before a module; for a plain `nn.Sequential`, the point before its first child."""
    module = model.get_submodule(path)
    while is_plain_sequential(module) and (first := next(module.named_children(), None)):
        path, module = f"{path}.{first[0]}", first[1]
    return AttachmentPoint(path, "input")


def is_custom_container(module: nn.Module) -> bool:
    """Return whether a module is a list of children that it runs in its own way, so that it would run a new child."""
    return isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict) and not is_plain_sequential(module)


def parent_of(model: nn.Module, path: str) -> tuple[nn.Module, str]:
    """Return the parent of the module at a path, and the name of the module in it."""
    parent, _, name = path.rpartition(".")
    return model.get_submodule(parent), name
