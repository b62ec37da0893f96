"""The files of a data set, or the place where to get them."""

from __future__ import annotations

from pathlib import Path

from gepc_geo.errors import InputError


def data_folder(root: str | Path, name: str, suffix: str, source: str) -> Path:
    """The folder ``root/name`` with files of a suffix (in lower or upper case).

    Args:
        root: Folder of the data set.
        name: Name of the folder in it.
        suffix: The suffix.
        source: The place where to get the files, for errors.

    Returns:
        The folder.

    Raises:
        InputError: The folder or its files do not exist.
    """
    folder = Path(root) / name
    for needed in (Path(root), folder):
        if not needed.exists():
            raise InputError(
                f"{needed} does not exist: put the {suffix} files of {source} into {folder}"
            )
    if not folder.is_dir() or not any(f.suffix.lower() == suffix for f in folder.iterdir()):
        raise InputError(
            f"{folder} must have the {suffix} files of {source}, got none: put them into {folder}"
        )
    return folder
