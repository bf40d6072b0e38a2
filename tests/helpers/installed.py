"""Packages as an installer leaves them: a module beside its metadata."""

from pathlib import Path


def install(folder: Path, module: str, code: str, entry_points: str) -> Path:
    """Write a package of one module into a folder, and return the folder of its metadata.

    Args:
        folder: Where packages are.
        module: The name to import; that of the package has hyphens for the underscores.
        code: Of the module.
        entry_points: As `[group]` and lines of `name = module:attribute`.
    """
    (folder / f"{module}.py").write_text(code)
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir()
    name = module.replace("_", "-")
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_points)
    (metadata / "RECORD").write_text(f"{module}.py,,\n{metadata.name}/METADATA,,\n")
    return metadata
