"""Packages in the layout of an installer: a module next to its metadata."""

from pathlib import Path


def install(folder: Path, module: str, code: str, entry_points: str) -> Path:
    """Write a package of one module into a folder, and return the folder of its metadata.

    Args:
        folder: Folder of installed packages.
        module: Name of the module; the package has hyphens instead of underscores.
        code: Source of the module.
        entry_points: `[group]`, followed by lines `name = module:attribute`.
    """
    (folder / f"{module}.py").write_text(code)
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir()
    name = module.replace("_", "-")
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_points)
    (metadata / "RECORD").write_text(f"{module}.py,,\n{metadata.name}/METADATA,,\n")
    return metadata
