from .file_description import FileDescription as FileDescription
from .opening import is_exported as is_exported
from .opening import open as open  # noqa: A004 - called as runtimes.open
from .protocol import Runtime as Runtime
from .torch_runtime import TorchRuntime as TorchRuntime

__all__ = ["FileDescription", "Runtime", "TorchRuntime", "is_exported", "open"]
