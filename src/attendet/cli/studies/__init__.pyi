from .study import app as app
from .study_join import join_command as join_command
from .study_search import search_command as search_command

__all__ = ["app", "join_command", "search_command"]
