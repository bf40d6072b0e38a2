"""Names for classes, so that model files, the command line and other packages can ask for them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Generic, TypeVar, cast

from attendet.errors import AttendetError, unknown_name

T = TypeVar("T")
E = TypeVar("E")


class Registry(Generic[T]):
    """A table from names to entries, filled by decorators and by other packages' entry points.

    Names are compared without regard to case, hyphens and underscores: `CBAM`, `cbam` and `Cbam` are one.

    Args:
        kind: What the entries are, for error messages.
        entry_point_group: Other packages add an entry by an entry point in this group: the name is the entry
            point's, the entry the object it loads to. They are loaded only when a name is asked for that is not
            known here, or when all names are.

    Example:
        >>> shapes = Registry[type]("shape")
        >>> @shapes.register("square", "quad")
        ... class Square: ...
        >>> shapes.get("Quad") is Square
        True
        >>> shapes.names()
        ('square',)
    """

    def __init__(self, kind: str, entry_point_group: str | None = None) -> None:
        self.kind = kind
        self._group = entry_point_group
        self._entries: dict[str, T] = {}
        self._names: list[str] = []

    def register(self, name: str, *aliases: str) -> Callable[[E], E]:
        """Return a decorator that enters what it decorates under `name`, findable by the aliases too.

        Raises:
            AttendetError: If a name is taken already.
        """

        # That E is a T cannot be said in Python; said as T, a decorated class would lose its own type.
        def add(entry: E) -> E:
            keys = [_key(alias) for alias in (name, *aliases)]
            if any(key in self._entries for key in keys):
                raise AttendetError(f"the {self.kind} name {name!r} is taken", remedy="choose another name")
            self._entries.update(dict.fromkeys(keys, cast("T", entry)))
            self._names.append(name)
            return entry

        return add

    def get(self, name: str) -> T:
        """Return the entry registered under `name`.

        Raises:
            UnknownNameError: If there is none; the message has the nearest name that exists.
        """
        if not self.knows(name):
            raise unknown_name(self.kind, name, self._names)
        return self._entries[_key(name)]

    def knows(self, name: str) -> bool:
        """Say whether there is an entry of this name."""
        if _key(name) not in self._entries:
            self._load_entry_points()
        return _key(name) in self._entries

    def names(self) -> tuple[str, ...]:
        """Return the names, aliases left out, sorted."""
        self._load_entry_points()
        return tuple(sorted(self._names))

    def _load_entry_points(self) -> None:
        if self._group is None:
            return
        for point in entry_points(group=self._group):
            if _key(point.name) not in self._entries:
                entry = point.load()
                # Loading may have run the package's own decorators.
                if _key(point.name) not in self._entries:
                    self.register(point.name)(entry)


def _key(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
