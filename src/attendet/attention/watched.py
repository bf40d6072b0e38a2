"""Whether somebody looks inside a module: then it has to run part by part, in plain torch operations.

Hooks do, exporters and tracers, and what computes with torch's own operations in another way than backwards:
`torch.func` and forward-mode derivatives.
"""

from __future__ import annotations

import torch
from torch import nn
from torch._C._functorch import maybe_current_level  # pyright: ignore[reportMissingModuleSource]
from torch.autograd import forward_ad
from torch.nn.modules import module as torch_module

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def watched(module: nn.Module) -> bool:
    """Return whether a part of a module has a hook, or the module is being exported or traced.

    Hooks on the module itself do not count: it is called as a whole either way.

    Example:
        >>> module = nn.Sequential(nn.ReLU())
        >>> watched(module)
        False
        >>> hook = module[0].register_forward_hook(print)
        >>> watched(module)
        True
    """
    if torch.compiler.is_exporting() or torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        return True
    # torch has no public names for these.
    if maybe_current_level() is not None or forward_ad._current_level >= 0:  # noqa: SLF001
        return True
    if torch_module._has_any_global_hook():  # noqa: SLF001
        return True
    return any(getattr(part, hooks) for part in module.modules() if part is not module for hooks in HOOKS)
