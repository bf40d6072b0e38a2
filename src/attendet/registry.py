"""Names for classes, so that model files, the command line and other packages can ask for them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from attendet.errors import AttendetError, AttendetWarning, unknown_name

T = TypeVar("T")
E = TypeVar("E")


class Registry(Generic[T]):
    """A table from names to entries, filled by decorators and by other packages' entry points.

    Names are compared without regard to case, hyphens and underscores: `CBAM`, `cbam` and `Cbam` are one.

    Args:
        kind: What the entries are, for error messages.
        entry_point_group: Other packages add an entry by an entry point in this group: the name is the entry
            point's, the entry the object it loads to. They are loaded only when a name is asked for that is not
            known here, or when all names are. One that cannot be loaded, or loads to something else, is left out with
            an AttendetWarning, so that a package that is broken breaks nothing else.
        base: The class that what an entry point loads to has to derive from; None if it may be anything.

    Example:
        >>> shapes = Registry[type]("shape")
        >>> @shapes.register("square", "quad")
        ... class Square: ...
        >>> shapes.get("Quad") is Square
        True
        >>> shapes.names()
        ('square',)
    """

    def __init__(self, kind: str, entry_point_group: str | None = None, base: type | None = None) -> None:
        self.kind = kind
        self._group = entry_point_group
        self._base = base
        self._left_out: set[EntryPoint] = set()
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
            if _key(point.name) not in self._entries and point not in self._left_out:
                self._load(point)

    def _load(self, point: EntryPoint) -> None:
        try:
            entry = point.load()
        except Exception as error:  # noqa: BLE001 (another package's code may raise anything)
            self._leave_out(point, f"cannot be loaded ({type(error).__name__}: {error})")
            return
        if self._base is not None and not (isinstance(entry, type) and issubclass(entry, self._base)):
            self._leave_out(point, f"is no class that derives from {self._base.__name__}")
            return
        # Loading may have run the package's own decorators.
        if _key(point.name) not in self._entries:
            self.register(point.name)(entry)

    def _leave_out(self, point: EntryPoint, why: str) -> None:
        self._left_out.add(point)
        package = point.dist.name if point.dist else "an unnamed package"
        warnings.warn(
            f"the {self.kind} {point.name!r} of {package} is left out: {point.value} {why}",
            AttendetWarning,
            stacklevel=2,
        )


def _key(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
