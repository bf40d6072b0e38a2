from .child_processes import end_with_parent as end_with_parent
from .child_processes import module_command as module_command
from .child_processes import module_environment as module_environment
from .folder_lock import exclusive_lock as exclusive_lock
from .interruption import Interruption as Interruption
from .interruption import exit_code as exit_code
from .interruption import interrupted_by_signals as interrupted_by_signals
from .working_folder import ignore_working_folder as ignore_working_folder

__all__ = [
    "Interruption",
    "end_with_parent",
    "exclusive_lock",
    "exit_code",
    "ignore_working_folder",
    "interrupted_by_signals",
    "module_command",
    "module_environment",
]
