"""Finding a data set's files, or saying where they come from."""

from __future__ import annotations

from pathlib import Path

from gepc_geo.errors import InputError


def data_folder(root: str | Path, name: str, suffix: str, source: str) -> Path:
    """``root/name``, if it holds files ending in ``suffix`` (or in that in upper case).

    Raises:
        InputError: It does not, or does not exist; ``source`` says where to get them.
    """
    folder = Path(root) / name
    for one in (Path(root), folder):
        if not one.exists():
            raise InputError(
                f"{one} does not exist, expected {source}; put its {suffix} files into {folder}"
            )
    if not folder.is_dir() or not any(f.suffix.lower() == suffix for f in folder.iterdir()):
        raise InputError(
            f"{folder} has no {suffix} files, expected those of {source}; put them into {folder}"
        )
    return folder
