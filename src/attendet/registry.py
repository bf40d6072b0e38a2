"""Registries: tables that map names to classes, open to other packages."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from attendet.errors import AttendetError, AttendetWarning, misspelled_name, unknown_name

T = TypeVar("T")
E = TypeVar("E")


class Registry(Generic[T]):
    """A table from names to entries, filled by decorators and by entry points of other packages.

    Upper and lower case, hyphens, and underscores do not matter: `CBAM`, `cbam`, and `Cbam` are the same name.

    Entry points are loaded only when a name is looked up that is not registered, or when all names are listed. An entry
    point that fails to load, or that loads an object of the wrong class, is skipped with an AttendetWarning, so that a
    broken package does not break anything else.

    Args:
        kind: What the entries are, for error messages, such as `"block"`.
        entry_point_group: Entry points in this group add entries; each has the name of its entry point. None for no
            entry points.
        base: Base class that the objects of entry points must have; None for any object.

    Example:
        >>> shapes = Registry[type]("shape")
        >>> @shapes.register("square", "quad")
        ... class Square: ...
        >>> shapes.get("Quad") is Square, "circle" in shapes
        (True, False)
        >>> shapes.names()
        ('square',)
    """

    def __init__(self, kind: str, entry_point_group: str | None = None, base: type | None = None) -> None:
        self.kind = kind
        self._group = entry_point_group
        self._base = base
        self._skipped: set[EntryPoint] = set()
        self._entries: dict[str, T] = {}
        self._names: list[str] = []
        self._spellings: list[str] = []
        self._canonical: dict[str, str] = {}

    def register(self, name: str, *aliases: str) -> Callable[[E], E]:
        """Return a decorator that registers a class or function.

        Args:
            name: The name under which `names` lists the entry.
            *aliases: Other names under which `get` finds it.

        Raises:
            AttendetError: If one of the names is registered already.
        """

        # Every E must be a T, which Python cannot express. Declared as T, a decorated class would lose its own type.
        def add(entry: E) -> E:
            keys = [normalize_name(alias) for alias in (name, *aliases)]
            if any(key in self._entries for key in keys):
                raise AttendetError(f"the {self.kind} {name!r} is already registered", remedy="choose another name")
            self._entries.update(dict.fromkeys(keys, cast("T", entry)))
            self._names.append(name)
            self._spellings += (name, *aliases)
            self._canonical.update(dict.fromkeys(keys, name))
            return entry

        return add

    def get(self, name: str) -> T:
        """Return the entry that is registered under a name or alias.

        Raises:
            UnknownNameError: If the name is unknown; the message suggests a name that differs by typing errors.
        """
        if name not in self:
            raise unknown_name(self.kind, name, self._names, lambda *_: misspelled_name(name, self.spellings()))
        return self._entries[normalize_name(name)]

    def canonical(self, name: str) -> str:
        """Return the name under which `names` lists an entry, given that name or an alias.

        Raises:
            UnknownNameError: If the name is unknown.
        """
        self.get(name)
        return self._canonical[normalize_name(name)]

    def __contains__(self, name: str) -> bool:
        """Return whether an entry is registered under this name or alias."""
        if normalize_name(name) not in self._entries:
            self._load_entry_points()
        return normalize_name(name) in self._entries

    def names(self) -> tuple[str, ...]:
        """Return all names, sorted, without the aliases."""
        self._load_entry_points()
        return tuple(sorted(self._names))

    def spellings(self) -> tuple[str, ...]:
        """Return all names and aliases as they are registered.

        Example:
            >>> things = Registry[int]("thing")
            >>> things.register("cbam", "CBAMBlock")(1)
            1
            >>> things.spellings()
            ('cbam', 'CBAMBlock')
        """
        self._load_entry_points()
        return tuple(self._spellings)

    def _load_entry_points(self) -> None:
        if self._group is None:
            return
        for point in _entry_points(self._group, tuple(sys.path)):
            if normalize_name(point.name) not in self._entries and point not in self._skipped:
                self._load(point)

    def _load(self, point: EntryPoint) -> None:
        try:
            entry = point.load()
        except Exception as error:  # noqa: BLE001 (the code of another package can raise anything)
            self._skip(point, f"cannot be loaded ({type(error).__name__}: {error})")
            return
        if self._base is not None and not (isinstance(entry, type) and issubclass(entry, self._base)):
            self._skip(point, f"is not a class derived from {self._base.__name__}")
            return
        # Loading the package may have run a decorator that registered the entry.
        if normalize_name(point.name) not in self._entries:
            self.register(point.name)(entry)

    def _skip(self, point: EntryPoint, reason: str) -> None:
        self._skipped.add(point)
        package = point.dist.name if point.dist else "an unnamed package"
        warnings.warn(
            f"the {self.kind} {point.name!r} of {package} is skipped: {point.value} {reason}",
            AttendetWarning,
            stacklevel=2,
        )


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:  # noqa: ARG001 (part of the cache key)
    """Return the entry points of a group. To read all of them takes tens of milliseconds."""
    return tuple(entry_points(group=group))


def normalize_name(name: str) -> str:
    """Return a name in lower case, without hyphens and underscores.

    Example:
        >>> normalize_name("C3_CBAM")
        'c3cbam'
    """
    return name.lower().replace("-", "").replace("_", "")
