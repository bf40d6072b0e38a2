from .file_description import FileDescription as FileDescription
from .protocol import Runtime as Runtime
from .runtime_files import is_exported as is_exported
from .runtime_files import open as open  # noqa: A004 - called as runtimes.open
from .torch_runtime import TorchRuntime as TorchRuntime

__all__ = ["FileDescription", "Runtime", "TorchRuntime", "is_exported", "open"]
