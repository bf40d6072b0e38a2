"""Write docs/api.md, the public names of attendet, from their docstrings.

python tools/api_page.py
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

TARGET = Path(__file__).parents[1] / "docs" / "api.md"

# Each public namespace, in the order in which a user meets them.
NAMESPACES = {
    "attendet": "The names for everyday use.",
    "attendet.attention": "Attention modules, by class or by name.",
    "attendet.surgery": "Attention in networks that you did not write.",
    "attendet.data": "Data sets: open, check, convert, download.",
    "attendet.study": "Studies: plan, run, report.",
    "attendet.detection": "Pure functions on raw maps and boxes.",
    "attendet.errors": "The exceptions that a user can cause; all derive from `AttendetError`.",
}
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Example", "Examples", "Note")
INTRODUCTION = """# Python API

`import attendet` is enough for every name on this page, and it imports torch only when a name needs it. This page is
generated from the docstrings by `make docs`; its examples run as doctests.
"""


def page() -> str:
    """Return the page as Markdown."""
    shown: set[int] = set()
    parts = [INTRODUCTION]
    for name, about in NAMESPACES.items():
        parts += [f"## {name}\n", f"{about}\n", *namespace(import_module(name), shown)]
    return "\n".join(parts).rstrip() + "\n"


def namespace(module: ModuleType, shown: set[int]) -> Iterator[str]:
    """Yield an entry for each public name of a namespace that was not shown before."""
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    for name in sorted(names, key=lambda word: (word.lower(), word)):
        value = getattr(module, name)
        if not (inspect.isclass(value) or inspect.isfunction(value)) or id(value) in shown:
            continue
        if not value.__module__.startswith("attendet"):
            continue
        shown.add(id(value))
        yield entry(f"{module.__name__}.{name}", value)


def entry(name: str, value: type | object) -> str:
    """Return heading, signature, and docstring of a class or a function."""
    text = [f"### {name}\n", f"```python\n{name.rsplit('.', 1)[1]}{signature(value)}\n```\n", body(value)]
    if inspect.isclass(value):
        text += [
            f"**`{name.rsplit('.', 1)[1]}.{method}{signature(function)}`**\n\n{body(function)}"
            for method, function in vars(value).items()
            if inspect.isfunction(function) and not method.startswith("_") and function.__doc__
        ]
    return "\n".join(text)


def signature(value: object) -> str:
    """Return a signature without the types, which the docstring describes."""
    try:
        found = inspect.signature(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        return "(...)"
    parameters = [p.replace(annotation=inspect.Parameter.empty) for p in found.parameters.values() if p.name != "self"]
    return re.sub(
        r"<factory>|<[^<>]+ at 0x[0-9a-f]+>",
        "...",
        str(found.replace(parameters=parameters, return_annotation=inspect.Signature.empty)),
    )


def body(value: object) -> str:
    """Return a Google-style docstring as Markdown."""
    lines = (inspect.getdoc(value) or "").split("\n")
    text: list[str] = []
    section = ""
    for line in lines:
        if line.rstrip(":") in SECTIONS and line.endswith(":"):
            close(text, section)
            section = line.rstrip(":")
            text += ["", f"**{section}**", "", *(["```python"] if section.startswith("Example") else [])]
        elif section and line and not line.startswith(" "):
            close(text, section)
            section = ""
            text += ["", line]
        else:
            text.append(item(line, section))
    close(text, section)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(text)).strip() + "\n"


def close(text: list[str], section: str) -> None:
    """End the code fence of an example."""
    if section.startswith("Example"):
        while text and not text[-1]:
            text.pop()
        text += ["```", ""]


def item(line: str, section: str) -> str:
    """Return a line of a section: a list item for a named argument, code for an example, text otherwise."""
    if section in ("Args", "Attributes", "Raises"):
        named = re.match(r"    (\**[\w.]+)(?: \([^)]*\))?: (.*)", line)
        return f"- `{named[1]}`: {named[2]}" if named else "  " + line.strip() if line.strip() else ""
    return line[4:] if section and line.startswith("    ") else line


def main() -> None:
    """Write the page."""
    TARGET.write_text(page(), encoding="utf-8")
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
